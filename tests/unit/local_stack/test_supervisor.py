"""Tests supervisord's configuration of each component, and that no file holds a secret."""

import shlex
from collections.abc import Callable
from configparser import RawConfigParser
from dataclasses import replace
from pathlib import Path

import pytest

from local_stack import client_secrets, files, generated_secrets, supervisor
from local_stack.components import components
from payment_pipeline.settings import Settings, signing_name

SettingsOf = Callable[..., Settings]


def written(settings: Settings) -> RawConfigParser:
    files.make_folders(settings)
    generated_secrets.generate(settings)
    supervisor.write_config(settings)
    parser = RawConfigParser()
    parser.read(supervisor.config_path(settings))
    return parser


def test_every_component_is_restarted_and_killed_with_its_group(isolated: SettingsOf) -> None:
    config = written(isolated())
    for component in components().values():
        section = config[f"program:{component.name}"]
        assert section["autostart"] == "false", (
            "up starts it when the components that it needs are ready"
        )
        assert section["autorestart"] == "true"
        assert section["killasgroup"] == "true"


def test_every_process_has_the_mark_and_the_settings_of_up(isolated: SettingsOf) -> None:
    settings = isolated(gateway_deadline_s=1.5)
    for component in components().values():
        environment = written(settings)[f"program:{component.name}"]["environment"]
        pairs = dict(pair.split("=", 1) for pair in shlex.split(environment.replace(",", " ")))
        assert pairs[supervisor.MARK] == str(settings.var)
        assert pairs["PAYMENTS_GATEWAY_DEADLINE_S"] == "1.5"
        assert pairs["PAYMENTS_KAFKA_BOOTSTRAP_SERVERS"] == "", (
            "it has precedence over a line of .env"
        )


def test_no_secret_is_written_to_the_configuration(isolated: SettingsOf) -> None:
    settings = isolated(webhook_secrets={"stripe": "whsec_given"})
    written(settings)
    text = supervisor.config_path(settings).read_text()
    for name in generated_secrets.names():
        assert settings.secret(name) not in text


def test_each_component_is_given_its_own_secrets_alone(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty value in its section hides the value in supervisord's environment."""
    plain = {name for name, field in Settings.model_fields.items() if "Secret" in str(field)}
    # The two DSNs would say that a component runs elsewhere.
    plain -= {"postgres_dsn", "dagster_dsn", "webhook_secrets"}
    signing = {"stripe": "given", "acme": "given"}
    names = {*plain, *map(signing_name, signing)}
    gateway = replace(components()["gateway"], secrets=tuple(map(signing_name, signing)))
    known = {**components(), "gateway": gateway}
    monkeypatch.setattr(supervisor, "components", lambda: known)
    config = written(isolated(**dict.fromkeys(plain, "given"), webhook_secrets=signing))
    given = {}
    for component in components().values():
        environment = config[f"program:{component.name}"]["environment"]
        pairs = dict(pair.split("=", 1) for pair in shlex.split(environment.replace(",", " ")))
        given[component.name] = {name for name in names if f"PAYMENTS_{name.upper()}" not in pairs}
        assert "given" not in pairs.values()
    assert given.pop("gateway") == {"webhook_secrets_stripe", "webhook_secrets_acme"}
    kafka, temporal = {*client_secrets.KAFKA}, {*client_secrets.TEMPORAL}
    assert given["normalizer"] == {"pseudonym_key"} | kafka
    assert given["worker"] == {"postgres_worker_password", "inference_token"} | kafka | temporal
    assert given["dispatcher"] == kafka | temporal
    assert given["inference"] == {"inference_token"}
    assert not given["kafka"] | given["temporal"]
    reads_bodies = {name for name, seen in given.items() if "postgres_reader_password" in seen}
    assert reads_bodies == {"dagster-code"}
    assert given["dagster-daemon"] == {"postgres_dagster_password"}
    assert given["dagster-webserver"] == {"postgres_dagster_password", "dagster_password"}
    unseen = {"postgres_admin_password", "webhook_secrets_stripe", "webhook_secrets_acme"}
    assert not any(unseen & seen for seen in given.values())


def test_a_provider_that_is_not_installed_has_its_secret_withheld_from_all(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENTS_WEBHOOK_SECRETS_GONE", "given")
    config = written(isolated())
    for component in components().values():
        environment = config[f"program:{component.name}"]["environment"]
        assert 'PAYMENTS_WEBHOOK_SECRETS_GONE=""' in environment


def test_an_unset_provider_secret_is_passed_as_empty(
    isolated: SettingsOf,
) -> None:
    assert supervisor.environment(isolated())["PAYMENTS_WEBHOOK_SECRETS_STRIPE"] == ""


def test_a_component_that_runs_elsewhere_is_not_supervised(isolated: SettingsOf) -> None:
    config = written(isolated(kafka_bootstrap_servers="kafka.example:9092"))
    assert "program:kafka" not in config
    assert "program:postgres" in config


@pytest.mark.parametrize("name", ["with space", "100%", 'quote"d', "it's", "comma,comma"])
def test_a_path_with_special_characters_is_quoted(
    isolated: SettingsOf, tmp_path: Path, name: str
) -> None:
    settings = isolated(var=tmp_path / name)
    config = written(settings)
    command = config["program:postgres"]["command"].replace("%%", "%")
    assert str(tmp_path / name / "postgres") in shlex.split(command)


def test_a_process_reads_the_settings_that_it_is_given(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting without a value is an empty variable, which must mean no value again."""
    settings = isolated()
    for name, value in supervisor.environment(settings).items():
        monkeypatch.setenv(name, value)
    read = Settings().public
    unset = [name for name, value in settings.public.items() if value is None]
    assert "trino_home" in unset
    assert {name: read[name] for name in unset if read.get(name)} == {}
