"""The platform in Docker Compose: from a signed event to the facts, with a clean audit.

The images of others may be stand-ins (`support.container_images`). Then this proves our Compose
file, our images and scripts, and not those images.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support import container_engine
from support.container_engine import Engine
from support.repository import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.containers, pytest.mark.timeout(1200)]

COMPOSE: Final = ROOT / "infrastructure/compose/compose"
EVENTS: Final = 5000
FIRST_RUN_S_MAX: Final = 300.0
SERVICES: Final = (
    *("gateway", "normalizer", "dispatcher", "worker", "inference"),
    *("dagster-code", "dagster-webserver", "dagster-daemon", "lake-metrics"),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    if reason := container_engine.lacking():
        pytest.skip(f"NOT TESTED: Docker Compose. {reason}")
    with container_engine.engine() as found:
        yield found


@pytest.fixture(scope="module")
def compose(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The pipeline and the lakehouse, started; nothing of them is left at the end."""
    var = tmp_path_factory.mktemp("compose") / "var"
    project = {
        "PAYMENTS_VAR": str(var),
        "COMPOSE_PROJECT_NAME": "payments-test",
        "WITH": "lakehouse",
    }
    running = Engine({**engine.environment, **project}, engine.inside)
    try:
        running.run(COMPOSE, "up")
        yield running
    finally:
        running.run(COMPOSE, "down", "--volumes", "--timeout", "20")
    for kind in ("container", "volume", "network"):
        listed = ("docker", kind, "ls", "--quiet", "--filter")
        label = "label=com.docker.compose.project=payments-test"
        assert running.run(*listed, label) == "", f"a {kind} is left"


def audit(compose: Engine, ledger: Path | None = None) -> dict[str, Any]:
    """The audit up to the facts, which waits for the events."""
    words = ["payments", "audit", "--through", "facts", "--json", "--wait", "300"]
    if ledger:
        words += ["--client-ledger", "/dev/stdin"]
    found: dict[str, Any] = json.loads(compose.run(COMPOSE, *words, given=ledger))
    return found


def wait_for_the_marts(compose: Engine) -> None:
    """Until Dagster's first run has made the tables: without them nothing can be audited."""
    words = ("payments", "audit", "--through", "facts", "--json", "--wait", "0")
    deadline = time.monotonic() + FIRST_RUN_S_MAX
    while not compose.run(COMPOSE, *words, ok=False):
        assert time.monotonic() < deadline, compose.run(COMPOSE, "logs", "dagster-code")
        time.sleep(2)


def test_each_event_of_the_simulator_is_at_its_destination(compose: Engine) -> None:
    sent = ("--duplicates", "0.05", "--malformed", "0.02", "--bad-signature", "0.02")
    ledger = Path(compose.environment["PAYMENTS_VAR"]) / "ledger.jsonl"
    compose.run(
        COMPOSE, "simulate", "--events", str(EVENTS), *sent, "--ledger", ledger, inside=True
    )
    wait_for_the_marts(compose)
    found = audit(compose, ledger)
    assert found["ok"], found
    assert found["stages"]["facts"]["events"] > EVENTS * 0.9


def test_a_restart_of_every_service_loses_nothing(compose: Engine) -> None:
    wait_for_the_marts(compose)
    before = audit(compose)["stages"]["facts"]["events"]
    compose.run(COMPOSE, "simulate", "--events", "500", "--seed", "2", inside=True)
    compose.run(COMPOSE, "restart", *SERVICES)
    found = audit(compose)
    assert found["ok"], found
    assert found["stages"]["facts"]["events"] > before


def test_no_service_runs_as_root_or_can_write_its_image(compose: Engine) -> None:
    for service in SERVICES:
        name = compose.run(COMPOSE, "ps", "--quiet", service).strip()
        (told,) = json.loads(compose.run("docker", "inspect", name))
        assert told["Config"]["User"] == "10001:10001"
        assert told["HostConfig"]["ReadonlyRootfs"]
        assert told["HostConfig"]["CapDrop"] == ["ALL"]
        assert told["HostConfig"]["Memory"] > 0


def test_no_image_or_container_shows_a_secret(compose: Engine) -> None:
    folder = Path(compose.environment["PAYMENTS_VAR"]) / "secrets"
    secrets = [path.read_text().strip() for path in folder.iterdir() if path.is_file()]
    names = compose.run(COMPOSE, "ps", "--all", "--quiet").split()
    said = compose.run("docker", "inspect", *names) + compose.run(COMPOSE, "logs", "--no-color")
    assert len(secrets) > 5
    assert [each for each in secrets if each in said] == []


def test_every_published_port_is_on_loopback(compose: Engine) -> None:
    names = compose.run(COMPOSE, "ps", "--all", "--quiet").split()
    bound = [
        binding["HostIp"]
        for told in json.loads(compose.run("docker", "inspect", *names))
        for bindings in (told["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    ]
    assert bound
    assert {*bound} == {"127.0.0.1"}
