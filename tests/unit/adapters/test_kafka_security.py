"""The options of Kafka's clients, as the settings ask for them."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from local_stack import certificates
from payment_pipeline.adapters import kafka_security
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import MissingSecretError, Settings

PASSWORD = "a password with enough characters"
ELSEWHERE = {"kafka_bootstrap_servers": "broker:9092"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificate:
    return certificates.ensure(Settings(var=tmp_path_factory.mktemp("kafka")), "kafka")


def options(var: Path, **given: object) -> dict[str, Any]:
    return kafka_security.options(Settings.model_validate({"var": var, **ELSEWHERE, **given}))


def test_without_a_setting_nothing_is_encrypted(tmp_path: Path) -> None:
    assert options(tmp_path) == {
        "bootstrap_servers": "broker:9092",
        "security_protocol": "PLAINTEXT",
    }


def test_scram_over_tls_checks_the_server_and_sends_the_password(
    tmp_path: Path, made: certificates.Certificate
) -> None:
    found = options(
        tmp_path,
        kafka_security_protocol="SASL_SSL",
        kafka_user="worker",
        kafka_password=PASSWORD,
        kafka_authorities=made.authority,
        kafka_certificate=made.server,
    )
    context = found.pop("ssl_context")
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1, "only the authority of the setting"
    assert found.pop("sasl_plain_password")() == PASSWORD
    assert found == {
        "bootstrap_servers": "broker:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
    }


def test_without_authorities_the_well_known_ones_certify(tmp_path: Path) -> None:
    context = options(tmp_path, kafka_security_protocol="SSL")["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_password_may_be_in_a_file(tmp_path: Path) -> None:
    given = {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_user": "worker"}
    with pytest.raises(MissingSecretError, match="PAYMENTS_KAFKA_PASSWORD"):
        options(tmp_path, **given)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/kafka_password").write_text(f"{PASSWORD}\n")
    assert options(tmp_path, **given)["sasl_plain_password"]() == PASSWORD


@pytest.mark.parametrize("name", ["authorities", "certificate", "key"])
def test_a_file_that_can_not_be_used_is_named(
    name: str, tmp_path: Path, made: certificates.Certificate
) -> None:
    given: dict[str, object] = {
        "kafka_security_protocol": "SSL",
        "kafka_certificate": made.server,
        f"kafka_{name}": tmp_path / "absent.pem",
    }
    with pytest.raises(UserError, match=rf"absent\.pem of PAYMENTS_KAFKA_{name.upper()} can't be"):
        options(tmp_path, **given)
    (tmp_path / "absent.pem").write_text("no certificate")
    with pytest.raises(UserError, match=r"of PAYMENTS_KAFKA_\w+ has no certificate.* form PEM"):
        options(tmp_path, **given)


def test_a_secure_stack_has_a_user_for_each_process(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    certificates.ensure(settings, "kafka")
    (tmp_path / "secure").touch()
    for user in ("payments", "gateway"):
        (tmp_path / f"secrets/kafka_{user}_password").write_text(f"the password of {user}")
    found = kafka_security.options(settings)
    assert found["security_protocol"] == "SASL_SSL"
    assert found["sasl_plain_username"] == "payments"
    gateway = kafka_security.options(settings.model_copy(update={"kafka_user": "gateway"}))
    assert gateway["sasl_plain_password"]() == "the password of gateway"
    with pytest.raises(MissingSecretError) as refused:
        kafka_security.options(settings.model_copy(update={"kafka_user": "worker"}))
    assert "Write" in str(refused.value)
    assert "PAYMENTS_KAFKA_WORKER_PASSWORD" not in str(refused.value), "no such variable"
