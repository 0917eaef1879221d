"""What Compose gives each of our services: no secret too many, no rights, loopback alone."""

import re
from typing import Any, Final

import yaml
from dotenv import dotenv_values

from local_stack import client_secrets
from local_stack.components import components
from payment_pipeline.settings import Settings, variable
from support.repository import ROOT

FOLDER: Final = ROOT / "infrastructure/compose"
TEXT: Final = (FOLDER / "compose.yaml").read_text()
FILE: Final = yaml.safe_load(TEXT)
SERVICES: Final[dict[str, dict[str, Any]]] = FILE["services"]
OURS: Final = {
    name: each for name, each in SERVICES.items() if str(each["image"]).startswith("payments/")
}
PREPARED: Final = "--only-prepare"
RUN: Final = {
    name: each
    for name, each in OURS.items()
    if each.get("command", [""])[0] == "run" and PREPARED not in each["command"]
}
"""The services that run a component, and not the jobs that write another server's files."""
NOT_OF_THE_STACK: Final = {
    *("postgres_dsn", "dagster_dsn", "catalog_credential"),
    *client_secrets.KAFKA,
    *client_secrets.TEMPORAL,
}
"""Secrets of servers that run elsewhere."""
OF_DAGSTER: Final = "DAGSTER_HOME"


def targets(service: dict[str, Any]) -> set[str]:
    return {each["source"] for each in service.get("secrets", ())}


def test_each_service_runs_the_component_of_its_name() -> None:
    assert {name: each["command"][:2] for name, each in RUN.items()} == {
        name: ["run", name] for name in RUN
    }
    assert RUN.keys() <= components().keys()


def test_a_service_gets_the_secrets_of_its_component_alone() -> None:
    for name, each in RUN.items():
        component = components()[name]
        wanted = {*component.secrets} - NOT_OF_THE_STACK
        assert targets(each) == wanted, name


def test_a_secret_is_where_the_settings_look_for_it() -> None:
    for each in OURS.values():
        for secret in each.get("secrets", ()):
            assert secret["target"] == f"/var/lib/payments/secrets/{secret['source']}"
    assert {name for each in OURS.values() for name in targets(each)} <= FILE["secrets"].keys()


def test_each_variable_is_a_setting() -> None:
    known = {variable(name) for name in Settings.model_fields}
    for name, each in OURS.items():
        assert each["environment"].keys() - {OF_DAGSTER} <= known, name


def test_each_container_has_limits_and_ours_have_no_rights() -> None:
    for name, each in SERVICES.items():
        if each.get("restart") in ("unless-stopped", "always"):
            assert each["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
    for name, each in OURS.items():
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"]), name
        assert each["security_opt"] == ["no-new-privileges:true"], name


def test_each_published_port_is_on_loopback() -> None:
    published = [port for each in SERVICES.values() for port in each.get("ports", ())]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_each_mounted_file_is_in_the_repository() -> None:
    mounts = [mount for each in SERVICES.values() for mount in each.get("volumes", ())]
    paths = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert paths
    assert [path for path in paths if not (FOLDER / path).exists()] == []


def test_the_collectors_address_is_a_setting() -> None:
    given = dotenv_values(FOLDER / "observability/collector.env")
    assert given.keys() <= {variable(name) for name in Settings.model_fields}
    assert given["PAYMENTS_OTLP_ENDPOINT"] == "http://collector:4318"


def test_each_anchor_is_used() -> None:
    assert {*re.findall(r" &(\w+)", TEXT)} == {*re.findall(r"[ \[]\*(\w+)", TEXT)}
