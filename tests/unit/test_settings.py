"""Unknown variables, and settings that contradict each other, are refused with one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from payment_pipeline import invalid_settings, settings
from payment_pipeline.connection_settings import ConnectionSettings
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, variable
from support import commands

PASSWORD = "a password with enough characters"


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("PAYMENTS_KAFKA_BOOTSTRAP_SERVER", "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS"),
        ("PAYMENTS_POSTGRE_DSN", "PAYMENTS_POSTGRES_DSN"),
        ("PAYMENTS_WEBHOOK_SECRET_STRIPE", "PAYMENTS_WEBHOOK_SECRETS_STRIPE"),
        ("PAYMENTS_HOM", "PAYMENTS_HOME"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(
    given: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, "x")
    with pytest.raises(UserError) as refused:
        settings.load()
    assert str(refused.value) == f"{given} is no setting. Did you mean {nearest}?"
    assert refused.value.exit_code == 2


def test_a_name_that_resembles_none_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_ZZZZZZZZ", "x")
    with pytest.raises(UserError, match=r"^PAYMENTS_ZZZZZZZZ is no setting\. Remove it, or see "):
        settings.load()


def test_an_unknown_line_of_env_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("OTHER_TOOL=1\nPAYMENTS_GATEWAY_PROT=8000\n")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    with pytest.raises(UserError, match=r"^PAYMENTS_GATEWAY_PROT .*PAYMENTS_GATEWAY_PORT\?$"):
        settings.load()


def test_a_variable_that_kubernetes_makes_of_a_service_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAYMENTS_GATEWAY_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(UserError, match="enableServiceLinks to false"):
        settings.load()


def test_every_name_of_ours_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        if name != "webhook_secrets":
            value = Settings.model_fields[name].get_default()
            monkeypatch.setenv(variable(name), "" if value is None else str(value))
    for name in ("PAYMENTS_HOME", "PAYMENTS_STACK", "PAYMENTS_VAR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PAYMENTS_WEBHOOK_SECRETS_ANOTHER", PASSWORD)
    loaded = settings.load()
    assert set(loaded.webhook_secrets) == {"another"}
    empty = [name for name in ConnectionSettings.model_fields if name.endswith("authorities")]
    assert {getattr(loaded, name) for name in empty} == {None}, "an empty path is none"


@pytest.mark.parametrize("module", ["payment_operations.cli", "payment_pipeline.normalizer"])
def test_a_command_and_a_stage_end_with_the_sentence(module: str, tmp_path: Path) -> None:
    arguments = ["status"] if module.endswith("cli") else []
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=commands.environment(Settings(var=tmp_path)) | {"PAYMENTS_GATEWAY_PROT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "payments: PAYMENTS_GATEWAY_PROT is no setting. Did you mean PAYMENTS_GATEWAY_PORT?\n"
    )


KAFKA = {"kafka_bootstrap_servers": "broker:9092"}
TEMPORAL = {"temporal_address": "temporal:7233"}
DSN = "postgresql://payments:hush@db/payments"  # pragma: allowlist secret


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kafka_security_protocol": "SSL"}, "KAFKA_BOOTSTRAP_SERVERS too"),
        ({**KAFKA, "kafka_security_protocol": "SASL_SSL"}, "needs PAYMENTS_KAFKA_USER"),
        ({**KAFKA, "kafka_user": "worker"}, "sends no PAYMENTS_KAFKA_USER"),
        ({**KAFKA, "kafka_security_protocol": "SSL", "kafka_user": "x"}, "Choose SASL_SSL"),
        ({**KAFKA, "kafka_authorities": "ca.pem"}, "unset PAYMENTS_KAFKA_AUTHORITIES"),
        ({**KAFKA, "kafka_certificate": "own.pem"}, "unset PAYMENTS_KAFKA_CERTIFICATE"),
        (
            {**KAFKA, "kafka_security_protocol": "SSL", "kafka_key": "own.key"},
            "PAYMENTS_KAFKA_KEY is set without PAYMENTS_KAFKA_CERTIFICATE",
        ),
        ({**TEMPORAL, "temporal_key": "own.key"}, "without PAYMENTS_TEMPORAL_CERTIFICATE"),
        ({**TEMPORAL, "temporal_api_key": PASSWORD}, "would be sent without encryption"),
        ({"temporal_tls": True}, "PAYMENTS_TEMPORAL_ADDRESS too"),
        ({"postgres_authorities": "ca.pem"}, "PAYMENTS_POSTGRES_ADDRESS or"),
        (
            {"postgres_dsn": f"{DSN}?sslmode=require", "postgres_authorities": "ca.pem"},
            "PAYMENTS_POSTGRES_DSN has another sslmode than verify-full",
        ),
        ({"s3_authorities": "ca.pem"}, "PAYMENTS_S3_ENDPOINT is no https address"),
        (
            {"catalog_authorities": "ca.pem", "catalog_uri": "http://polaris:8181"},
            "PAYMENTS_CATALOG_URI is no https address",
        ),
    ],
)
def test_a_combination_that_protects_nothing_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(given)
    (sentence,) = invalid_settings.sentences(refused.value)
    assert says in sentence
    assert sentence.startswith(("PAYMENTS_", "Temporal's TLS"))
    assert sentence.endswith(".")
    assert "hush" not in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {**KAFKA, "kafka_security_protocol": "SSL", "kafka_certificate": "own.pem"},
        {**KAFKA, "kafka_security_protocol": "SASL_SSL", "kafka_user": "worker"},
        {**KAFKA, "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_user": "worker"},
        {"kafka_user": "worker"},
        {**TEMPORAL, "temporal_tls": True, "temporal_api_key": PASSWORD},
        {**TEMPORAL, "temporal_authorities": "ca.pem", "temporal_certificate": "own.pem"},
        {"postgres_dsn": f"{DSN}?sslmode=verify-full", "postgres_authorities": "ca.pem"},
        {"s3_authorities": "ca.pem", "s3_endpoint": "https://minio:9000"},
    ],
)
def test_a_combination_that_works_is_accepted(given: dict[str, str]) -> None:
    Settings.model_validate(given)


def test_authorities_make_every_dsn_verify_full() -> None:
    """Other parameters of the DSN stay, and a weaker sslmode of the file's own is refused above."""
    found = Settings.model_validate(
        {"postgres_dsn": f"{DSN}?application_name=x", "postgres_authorities": "/etc/own ca.pem"}
    )
    checked = "sslmode=verify-full&sslrootcert=/etc/own%20ca.pem"
    assert found.dsn == f"{DSN}?application_name=x&{checked}"
    assert found.dsn_as("worker") == found.dsn
    assert found.dagster_storage == found.dsn.replace("/payments?", "/dagster?")
    own = found.model_copy(update={"dagster_dsn": found.postgres_dsn})
    assert own.dagster_storage == found.dsn
