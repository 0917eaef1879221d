"""The platform in Docker Compose: from a signed event to a dashboard, with a clean audit.

The images of others may be stand-ins (`support.container_images`). Then this proves our Compose
file, our images and scripts, and not those images.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import yaml

from support import container_engine
from support.container_engine import OURS, Engine, image, step
from support.repository import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.containers, pytest.mark.timeout(1800)]

log = logging.getLogger(__name__)
COMPOSE: Final = ROOT / "infrastructure/compose/compose"
EVENTS: Final = 5000
FIRST_RUN_S_MAX: Final = 300.0
SCRAPED_S_MAX: Final = 90.0
SBOM: Final = "/opt/payments/sbom.cdx.json"
INSTALLED: Final = (
    "import importlib.metadata as m, json; "
    "print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
)
SPANS: Final = (
    '{__name__=~"stand_in_collector_requests_total|otelcol_receiver_accepted_spans(_total)?"}'
)
"""The spans that the collector received, or the requests with spans that its stand-in received."""
DASHBOARDS: Final = {
    yaml.safe_load(path.read_text())["slug"]
    for path in (ROOT / "infrastructure/superset/assets/dashboards").glob("*.yaml")
}
TARGETS: Final = yaml.safe_load(
    (ROOT / "infrastructure/compose/observability/targets.yml").read_text()
)
SERVICES: Final = (
    *("gateway", "normalizer", "dispatcher", "worker", "inference"),
    *("dagster-code", "dagster-webserver", "dagster-daemon", "lake-metrics", "superset"),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    if reason := container_engine.lacking():
        pytest.skip(f"NOT TESTED: Docker Compose. {reason}")
    with container_engine.engine() as found:
        yield found


@pytest.fixture(scope="module")
def compose(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Everything, started; nothing of it is left at the end."""
    var = tmp_path_factory.mktemp("compose") / "var"
    project = {
        "PAYMENTS_VAR": str(var),
        "COMPOSE_PROJECT_NAME": "payments-test",
        "WITH": "dashboards observability",
    }
    running = Engine({**engine.environment, **project}, engine.inside)
    try:
        with step("start all services"):
            running.run(COMPOSE, "up")
        yield running
    finally:
        with step("stop and remove all services"):
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
    with step("wait for the marts"):
        deadline = time.monotonic() + FIRST_RUN_S_MAX
        while not compose.run(COMPOSE, *words, ok=False):
            assert time.monotonic() < deadline, compose.run(COMPOSE, "logs", "dagster-code")
            time.sleep(2)


def prometheus(compose: Engine, path: str) -> Any:  # noqa: ANN401 - any JSON
    """An answer of Prometheus's API."""
    program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
    url = f"http://127.0.0.1:9090/api/v1/{path}"
    return json.loads(compose.run(sys.executable, "-c", program, url, inside=True))["data"]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Until Prometheus has scraped it."""
    deadline = time.monotonic() + SCRAPED_S_MAX
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(1)


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


def test_superset_has_the_dashboards_and_queries_the_marts(compose: Engine) -> None:
    wait_for_the_marts(compose)
    password = Path(compose.environment["PAYMENTS_VAR"]) / "secrets/superset_admin_password"
    client = ROOT / "tests/support/superset_client.py"
    shown = json.loads(compose.run(sys.executable, client, password, "Payments", inside=True))
    assert {*shown["dashboards"]} == DASHBOARDS
    assert shown["figure"] > 0


def test_the_import_of_the_dashboards_can_be_repeated(compose: Engine) -> None:
    compose.run(COMPOSE, "run", "--rm", "--no-deps", "superset-dashboards")


def test_superset_sees_no_file_of_trino_and_no_password_of_its_administrator(
    compose: Engine,
) -> None:
    name = compose.run(COMPOSE, "ps", "--quiet", "superset").strip()
    (told,) = json.loads(compose.run("docker", "inspect", name))
    mounted = {each["Destination"] for each in told["Mounts"]}
    assert mounted == {"/var/lib/payments", "/var/lib/payments/secrets/superset_secret_key"}


def test_prometheus_scrapes_every_service_and_has_our_alerts(compose: Engine) -> None:
    jobs = {target["labels"]["job"] for target in TARGETS}

    def up() -> bool:
        found = prometheus(compose, "targets")["activeTargets"]
        return {each["labels"]["job"] for each in found if each["health"] == "up"} == jobs

    wait_until(up, "a service is not scraped")
    groups = prometheus(compose, "rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []


def test_the_collector_receives_spans_of_our_services(compose: Engine) -> None:
    compose.run(COMPOSE, "simulate", "--events", "50", "--seed", "3", inside=True)

    def received() -> bool:
        found = prometheus(compose, f"query?query={quote(SPANS)}")["result"]
        return any(float(each["value"][1]) > 0 for each in found)

    wait_until(received, "no span was received")


@pytest.mark.parametrize("name", OURS)
def test_a_bill_of_materials_lists_the_installed_packages_exactly(
    compose: Engine, name: str
) -> None:
    once = ("docker", "run", "--rm", "--network", "none", "--entrypoint")
    listed = json.loads(compose.run(*once, "cat", image(name), SBOM))["components"]
    installed = json.loads(compose.run(*once, "python", image(name), "-c", INSTALLED))
    assert sorted([each["name"], each["version"]] for each in listed) == sorted(installed)
    without_address = [each["name"] for each in listed if not each.get("purl")]
    assert without_address == ["payment-pipeline"]
    label = '{{index .Config.Labels "payments.sbom"}}'
    assert compose.run("docker", "inspect", "--format", label, image(name)).strip() == SBOM


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


def test_the_start_of_each_service_is_measured(compose: Engine) -> None:
    words = ("env", "PYTHONPATH=tests", sys.executable, "-m", "bench.container_starts")
    said = compose.run(*words)
    log.info("\n%s", said)
    for service in ("gateway", "normalizer", "dispatcher", "worker", "inference"):
        assert f"{service}, start to ready" in said
