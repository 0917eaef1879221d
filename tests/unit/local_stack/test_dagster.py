"""Tests the configuration of the Dagster instance, and the privacy of its secrets."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from local_stack import dagster
from local_stack.components import dagster_code, dagster_webserver, superset
from payment_pipeline.domain.failures import UserError
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


def test_a_users_sections_replace_ours(isolated: SettingsOf, tmp_path: Path) -> None:
    given = tmp_path / "sections.yaml"
    given.write_text("run_launcher: {module: dagster_k8s, class: K8sRunLauncher}")
    settings = isolated(**KEYS, dagster_instance=given)
    (settings.var / "run").mkdir()
    dagster.prepare(settings)
    instance = yaml.safe_load((dagster.home(settings) / "dagster.yaml").read_text())
    assert instance["run_launcher"] == {"module": "dagster_k8s", "class": "K8sRunLauncher"}
    assert instance["run_retries"]["enabled"] is True


@pytest.mark.parametrize("text", [None, "[", "a list"])
def test_a_file_without_sections_is_refused(
    text: str | None, isolated: SettingsOf, tmp_path: Path
) -> None:
    given = tmp_path / "sections.yaml"
    if text is not None:
        given.write_text(text)
    settings = isolated(**KEYS, dagster_instance=given)
    (settings.var / "run").mkdir()
    with pytest.raises(UserError, match="PAYMENTS_DAGSTER_INSTANCE"):
        dagster.prepare(settings)


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


def test_only_the_code_server_gets_trinos_password(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_code, "load", lambda: isolated(trino_password="pw"))
    given: list[Mapping[str, str]] = []
    monkeypatch.setattr(dagster, "become", lambda *call: given.append(call[2]))
    dagster_code.main()
    assert given[0]["DBT_TRINO_PASSWORD"] == "pw"
    assert not [name for name in dagster.environment(isolated()) if "TRINO" in name]


def test_a_run_in_a_pod_has_the_variables_of_dbt(tmp_path: Path) -> None:
    """It becomes the command that Dagster's launcher gives, without the code server."""
    seen = [sys.executable, "-c", "import os; print(os.environ['DBT_TRINO_PASSWORD'])"]
    environment = {
        "PATH": os.environ["PATH"],
        "PAYMENTS_HOME": str(tmp_path),
        "PAYMENTS_VAR": str(tmp_path / "var"),
        "PAYMENTS_TRINO_URL": "https://trino.example",
        "PAYMENTS_TRINO_PASSWORD": "a long password of Trino",
    }
    done = subprocess.run(
        [sys.executable, "-m", "local_stack.dagster_run", *seen],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "a long password of Trino"


def test_a_run_in_a_pod_says_what_is_wrong_with_its_settings(tmp_path: Path) -> None:
    environment = {"PAYMENTS_HOME": str(tmp_path), "PAYMENTS_TRINO_PASSWORD": "short"}
    done = subprocess.run(
        [sys.executable, "-m", "local_stack.dagster_run", sys.executable, "--version"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("PAYMENTS_TRINO_PASSWORD has fewer than 16 characters")


def test_superset_queries_as_the_reader(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS)
    authorities = settings.var / "superset/trino.authorities.pem"
    assert superset.trino_uri(settings) == (
        f"trino://superset@127.0.0.1:{settings.trino_port}/lakehouse"
    )
    given = {"http_scheme": "https", "verify": str(authorities)}
    assert json.loads(superset.trino_options(settings)) == given
    assert superset.environment(settings)["REQUESTS_CA_BUNDLE"] == str(authorities)


def test_superset_queries_a_cluster_over_tls_with_a_password(isolated: SettingsOf) -> None:
    """The password is not in the address, which Superset stores."""
    settings = isolated(
        **KEYS,
        trino_url="https://trino.example:8443",
        trino_password="loads",
        trino_reader_password="p/w",
    )
    assert superset.trino_uri(settings) == "trino://superset@trino.example:8443/lakehouse"
    given = {"http_scheme": "https", "verify": True}
    assert json.loads(superset.trino_options(settings)) == given


@pytest.mark.parametrize("reader", ["loads", ""])
def test_superset_does_not_start_without_a_password_of_its_own(
    isolated: SettingsOf, reader: str
) -> None:
    settings = isolated(
        trino_url="https://trino.example", trino_password="loads", trino_reader_password=reader
    )
    red = [check for check in superset.checks(settings) if check.name == "Trino's reader"]
    assert [check.ok for check in red] == [False]
    assert "PAYMENTS_TRINO_READER_PASSWORD" in red[0].remedy
