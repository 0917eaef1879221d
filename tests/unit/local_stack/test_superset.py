"""Tests Superset's access to Trino, its cache, and that it runs no text as code."""

import pickle
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy.engine import make_url

from local_stack import certificates
from local_stack.components import superset
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, variable
from support.people import person as person_with

SettingsOf = Callable[..., Settings]
OWN_SOURCES: Final = {
    *("'self'", "'none'", "'unsafe-inline'", "'strict-dynamic'", "blob:", "data:")
}
"""The sources in a content security policy that name no server."""
LETTER_LONG = "cus_" + "9" * 61
"""65 bytes, which pickle writes as the letter A."""


def cache(settings: Settings, name: str, answer: object) -> None:
    """Write a file as cachelib does: the time at which it expires, and the answer."""
    folder = superset.cache(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\0\0\0\0" + pickle.dumps(answer))


@pytest.mark.parametrize("customer", ["cus_jane", LETTER_LONG], ids=["short", "long"])
def test_cached_answers_with_the_person_are_found_and_deleted(
    isolated: SettingsOf, customer: str
) -> None:
    settings, person = isolated(), person_with(customer)
    assert superset.cached(settings, person.patterns) == 0, "no Superset here"
    cache(settings, "row", {"df": [["cus_john"], [customer]]})
    cache(settings, "sql", {"query": f"SELECT 1 WHERE customer_id = '{customer}'"})
    cache(settings, "key", {"df": person.names[1:]})
    cache(settings, "longer", {"df": [customer + "2", "x_" + customer]})
    assert superset.cached(settings, person.patterns) == 3

    superset.forget_cached(settings)

    assert superset.cached(settings, person.patterns) == 0
    assert list(superset.cache(settings).iterdir()) == []
    superset.forget_cached(settings)


def test_the_only_secret_in_the_servers_environment_is_the_key_of_the_sessions(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        name: f"secret-{name}"
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation) and name != "webhook_secrets"
    }
    for name, value in secrets.items():
        monkeypatch.setenv(variable(name), value)
    given = superset.environment(isolated(**secrets))
    seen = {name for name, value in given.items() if value.startswith("secret-")}
    assert seen == {"SUPERSET_SECRET_KEY"}
    assert given["SUPERSET_SECRET_KEY"] == "secret-superset_secret_key"
    assert superset.COMPONENT.secrets == ("superset_secret_key",)


def test_provisioning_gets_the_password_through_its_standard_input(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def run(command: list[object], **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
        calls.append({"command": command, **options})
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(superset, "python", lambda: Path("python"))
    settings = isolated(
        superset_secret_key="sign", superset_admin_password="enter", trino_reader_password="look"
    )
    certificates.ensure(settings, "trino")
    superset.prepare(settings, lambda _more, _done: None)
    (call,) = calls
    assert call["input"] == "enter"
    assert "enter" not in f"{call['command']} {call['env']}"
    assert call["env"]["SUPERSET_TRINO_URI"] == superset.trino_uri(settings)
    assert "look" not in f"{call['command']} {call['env']}"


def test_superset_reads_trinos_password_from_a_private_file_for_trinos_address_alone(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(superset, "python", lambda: Path("python"))
    settings = isolated(
        superset_secret_key="sign", superset_admin_password="enter", trino_reader_password="look"
    )
    certificates.ensure(settings, "trino")
    superset.prepare(settings, lambda _more, _done: None)
    assert (superset.home(settings) / "trino_login").stat().st_mode & 0o777 == 0o600
    for name, value in superset.environment(settings).items():
        monkeypatch.setenv(name, value)
    config = runpy.run_path(str(superset.FOLDER / "superset_config.py"))
    password_of = config["SQLALCHEMY_CUSTOM_PASSWORD_STORE"]
    assert password_of(make_url(superset.trino_uri(settings))) == "look"
    assert password_of(make_url("trino://superset@elsewhere:8080/lakehouse")) is None


def test_superset_has_its_own_copy_of_trinos_authority(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(superset, "python", lambda: Path("python"))
    given = tmp_path / "given.pem"
    given.write_text("the authority")
    settings = isolated(
        **dict.fromkeys(("superset_secret_key", "superset_admin_password"), "x"),
        trino_url="https://trino:8080",
        trino_authorities=given,
    )
    superset.prepare(settings, lambda _more, _done: None)
    given.unlink()
    copy = Path(superset.environment(settings)["REQUESTS_CA_BUNDLE"])
    assert copy.read_text() == "the authority"
    assert copy.parent == superset.home(settings)
    with pytest.raises(UserError, match="PAYMENTS_TRINO_AUTHORITIES"):
        superset.prepare(settings, lambda _more, _done: None)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The values of `superset_config.py`."""
    for name in ("SUPERSET_HOME", "SUPERSET_SECRET_KEY", "TZ"):
        monkeypatch.setenv(name, "UTC")
    return runpy.run_path(str(superset.FOLDER / "superset_config.py"))


def test_no_filter_or_metric_is_a_template(config: dict[str, Any]) -> None:
    assert config["FEATURE_FLAGS"]["ENABLE_TEMPLATE_PROCESSING"] is False


def test_a_page_may_load_only_from_its_own_server(config: dict[str, Any]) -> None:
    policy = config["TALISMAN_CONFIG"]["content_security_policy"]
    assert config["TALISMAN_ENABLED"]
    assert {source for sources in policy.values() for source in sources} <= OWN_SOURCES
    assert policy["default-src"] == policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert config["ENABLE_CORS"] is False
