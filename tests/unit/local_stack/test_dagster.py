"""Tests the configuration of the Dagster instance, and the privacy of its secrets."""

import json
from collections.abc import Callable

import pytest
import yaml

from local_stack import dagster
from local_stack.components import dagster_webserver, superset
from payment_pipeline.settings import Settings

SettingsOf = Callable[..., Settings]
KEYS = {
    "postgres_password": "hush",
    "postgres_dagster_password": "hu:sh@",
    "superset_secret_key": "sign",
    "superset_admin_password": "enter",
}


@pytest.fixture
def settings(isolated: SettingsOf) -> Settings:
    made = isolated(**KEYS)
    (made.var / "run").mkdir()
    dagster.prepare(made)
    return made


def test_dagster_has_a_separate_database(settings: Settings) -> None:
    written = dagster.home(settings) / "dagster.yaml"
    instance = yaml.safe_load(written.read_text())
    url = instance["storage"]["postgres"]["postgres_url"]
    assert url.startswith("postgresql://dagster:")
    assert url.endswith(f":{settings.postgres_port}/dagster")
    assert settings.dsn.endswith(f":{settings.postgres_port}/payments")
    assert written.stat().st_mode & 0o777 == 0o600


def test_runs_are_retried_and_pools_limited_and_telemetry_is_off(settings: Settings) -> None:
    instance = yaml.safe_load((dagster.home(settings) / "dagster.yaml").read_text())
    assert instance["run_retries"]["enabled"] is True
    assert instance["concurrency"]["pools"] == {"granularity": "run", "default_limit": 1}
    assert instance["telemetry"]["enabled"] is False


def test_the_code_server_listens_on_a_socket_and_on_no_port(settings: Settings) -> None:
    workspace = json.loads((dagster.home(settings) / "workspace.yaml").read_text())
    [entry] = workspace["load_from"]
    assert entry["grpc_server"]["socket"] == str(dagster.code_socket(settings))


def test_the_web_server_of_the_stack_is_the_guarded_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(dagster_webserver, "load", lambda: settings)
    monkeypatch.setattr(dagster, "become", lambda _settings, arguments: started.extend(arguments))
    dagster_webserver.main()
    assert started == [
        "orchestration_dagster.guarded_webserver",
        *(settings.host, str(settings.dagster_port), str(dagster.workspace_path(settings))),
    ]


def test_a_given_database_is_used_unchanged(isolated: SettingsOf) -> None:
    given = "postgresql://dagster:pw@db.example/orchestration"
    assert isolated(dagster_dsn=given).dagster_storage == given


def test_dbt_gets_trinos_password_only_in_its_environment(isolated: SettingsOf) -> None:
    assert "DBT_TRINO_PASSWORD" not in dagster.environment(isolated())
    given = dagster.environment(isolated(trino_password="pw"))
    assert given["DBT_TRINO_PASSWORD"] == "pw"


def test_superset_queries_as_the_reader(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS)
    assert superset.trino_uri(settings) == (
        f"trino://superset@127.0.0.1:{settings.trino_port}/lakehouse"
    )


def test_superset_queries_a_cluster_over_tls_with_a_password(isolated: SettingsOf) -> None:
    settings = isolated(trino_url="https://trino.example:8443", trino_password="p/w")
    assert superset.trino_uri(settings) == (
        "trino://superset:p%2Fw@trino.example:8443/lakehouse?protocol=https"
    )
