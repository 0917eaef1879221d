"""The wheel runs outside the checkout: the services on given addresses, and its data files."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from conftest import free_ports, own_stack
from payment_pipeline.settings import Settings
from support import installed_wheel
from support.databases import empty_schema
from support.repository import ROOT

pytestmark = pytest.mark.stack

PORT_OF: Final = {
    "payment_pipeline.gateway": "PAYMENTS_GATEWAY_METRICS_PORT",
    "payment_pipeline.inference": "PAYMENTS_INFERENCE_PORT",
    "payment_pipeline.normalizer": "PAYMENTS_NORMALIZER_METRICS_PORT",
    "payment_pipeline.orchestrator.dispatcher": "PAYMENTS_DISPATCHER_METRICS_PORT",
    "payment_pipeline.orchestrator.worker": "PAYMENTS_WORKER_METRICS_PORT",
}
"""Each service, and the setting of the port of its `/readyz`."""
RESOURCES: Final = ("orchestration-dbt/", "infrastructure/superset/", "infrastructure/kubernetes/")
"""The folders that the wheel holds besides the Python packages in the folders `src`."""
LOOKUP: Final = ROOT / "tests/support/resource_lookup.py"
EVENTS: Final = 200
CALL_S_MAX: Final = 180
START_S_MAX: Final = 120
STOP_S_MAX: Final = 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_wheel.build(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_all_of_the_product_and_nothing_else(wheel: Path) -> None:
    committed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if committed.returncode:
        pytest.skip("no git here: a copy of the files")
    wanted = {
        inside
        for name in committed.stdout.splitlines()
        if (inside := path_in_wheel(name)) and (ROOT / name).exists()
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == wanted
    unwanted = ("test", "drill", "bench")
    assert not [name for name in found if Path(name).parts[1].startswith(unwanted)]


def test_the_local_stack_finds_its_files_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Nothing is written beside them, since the packages of an image may be read-only."""
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-P", LOOKUP, str(installed)],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PAYMENTS_CACHE": str(home / "cache"),
            "PYTHONPATH": str(installed),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=CALL_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*")} == before


def path_in_wheel(name: str) -> str | None:
    """The path in the wheel of a file of the repository; None if the wheel lacks it."""
    _, in_package, module = name.partition("/src/")
    if in_package:
        return module
    return f"payment_pipeline/resources_in_wheel/{name}" if name.startswith(RESOURCES) else None


class Outside:
    """The installed wheel in a folder outside the checkout."""

    def __init__(self, programs: Path, home: Path, settings: dict[str, str]) -> None:
        self.home = home
        self._programs = programs
        self._environment = {
            "PATH": f"{programs}{os.pathsep}{os.defpath}",
            "HOME": str(home),
            **settings,
        }

    def payments(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs one command to its end.

        Raises:
            AssertionError: it exits with another code than 0.
        """
        done = subprocess.run(
            [self._programs / "payments", *words],
            cwd=self.home,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=CALL_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    @contextmanager
    def services(self) -> Iterator[None]:
        """All services, ready within the block. After it each of them must exit with code 0."""
        with ExitStack() as stack:
            running = {module: stack.enter_context(self._started(module)) for module in PORT_OF}
            deadline = time.monotonic() + START_S_MAX
            for module, process in running.items():
                self._wait_until_ready(module, process, deadline)
            yield
            for process in running.values():
                process.terminate()
            for module, process in running.items():
                assert process.wait(STOP_S_MAX) == 0, self._log(module).read_text()

    @contextmanager
    def _started(self, module: str) -> Iterator[subprocess.Popen[bytes]]:
        with self._log(module).open("w") as output:
            process = subprocess.Popen(
                [self._programs / "python", "-m", module],
                cwd=self.home,
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def _log(self, module: str) -> Path:
        return self.home / f"{module}.log"

    def _wait_until_ready(
        self, module: str, process: subprocess.Popen[bytes], deadline: float
    ) -> None:
        address = f"http://127.0.0.1:{self._environment[PORT_OF[module]]}/readyz"
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(address).status_code == httpx.codes.OK:
                    return
            time.sleep(0.2)
        raise AssertionError(self._log(module).read_text())


@pytest.fixture(scope="module")
def given_stores() -> Iterator[Settings]:
    """Kafka, PostgreSQL and Temporal, of which the wheel knows the addresses only."""
    with own_stack("postgres", "kafka", "temporal") as settings, empty_schema(settings) as own:
        yield own


@pytest.fixture(scope="module")
def outside(
    wheel: Path, given_stores: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Outside:
    folder = tmp_path_factory.mktemp("outside")
    home = folder / "home"
    home.mkdir()
    ports = map(str, free_ports(len(PORT_OF)))
    settings = {
        "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS": given_stores.kafka,
        "PAYMENTS_POSTGRES_DSN": given_stores.dsn,
        "PAYMENTS_TEMPORAL_ADDRESS": given_stores.temporal,
        "PAYMENTS_WEBHOOK_SECRETS_STRIPE": "whsec_of_the_wheel",
        "PAYMENTS_INFERENCE_TOKEN": "the token of the wheel's test",
        "PAYMENTS_PSEUDONYM_KEY": "a key of the wheel's test",
        **dict(zip(PORT_OF.values(), ports, strict=True)),
    }
    return Outside(installed_wheel.install(wheel, folder / "environment"), home, settings)


def test_the_services_run_from_the_wheel_without_extras(outside: Outside) -> None:
    migrated = outside.payments("migrate").stdout
    assert "payment_events" in migrated
    outside.payments("train", "--customers", "600")
    with outside.services():
        outside.payments("simulate", "--events", str(EVENTS), "--ledger", "ledger.jsonl")
        audited = outside.payments("audit", "--json", "--client-ledger", "ledger.jsonl")
    found = json.loads(audited.stdout)
    assert found["ok"]
    assert found["stages"]["bronze"]["events"] > EVENTS / 2
    assert (outside.home / "var/models").is_dir(), "`var` is in the current directory"
