"""The settings of encrypted and authenticated connections, and the combinations that are refused.

The part of `settings.Settings` that says how each client proves who it is, and how it checks the
server. A local stack that is secure needs none of them: `Settings.secure`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings

if TYPE_CHECKING:
    from payment_pipeline.settings import Settings

VERIFY_FULL: Final = "verify-full"
"""PostgreSQL's mode in which a client checks the server's certificate and its name."""

OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: value or None)]
"""A file, or `None` for an empty text."""

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


class TransportSettings(BaseSettings):
    """The settings of encrypted and authenticated connections. Every file is PEM."""

    # Kafka. The authorities certify the brokers; unset, the well-known ones. The certificate and
    # its key identify this client (mutual TLS). Unset, the key is in the certificate's file.
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    kafka_user: str | None = None
    kafka_password: SecretStr | None = None
    kafka_authorities: OptionalPath = None
    kafka_certificate: OptionalPath = None
    kafka_key: OptionalPath = None

    # PostgreSQL: the authorities that certify the server. Set, every connection is `verify-full`.
    postgres_authorities: OptionalPath = None

    # Temporal. The authorities or the certificate turn TLS on too.
    temporal_tls: bool = False
    temporal_authorities: OptionalPath = None
    temporal_certificate: OptionalPath = None
    temporal_key: OptionalPath = None
    temporal_api_key: SecretStr | None = None
    # The keys that encrypt payloads, newest first, separated by commas or line breaks.
    temporal_payload_keys: SecretStr | None = None

    # The token that the worker sends to inference. Inference does not start without it.
    inference_token: SecretStr | None = None

    # The authorities that certify the object store, the catalog, and a Trino that runs elsewhere.
    s3_authorities: OptionalPath = None
    catalog_authorities: OptionalPath = None
    trino_authorities: OptionalPath = None


def impossible(settings: "Settings") -> str | None:
    """The sentence about a combination of settings that can't work, or would protect nothing."""
    return _kafka(settings) or _temporal(settings) or _postgres(settings) or _lake(settings)


def _kafka(settings: "Settings") -> str | None:
    protocol = settings.kafka_security_protocol
    said = f"PAYMENTS_KAFKA_SECURITY_PROTOCOL is {protocol}"
    if not settings.kafka_bootstrap_servers:
        if protocol == "PLAINTEXT":
            return None
        return (
            f"{said}, but Kafka runs in the local stack. Set PAYMENTS_KAFKA_BOOTSTRAP_SERVERS too, "
            "or start the stack with `payments up --secure`"
        )
    sasl, encrypted = protocol.startswith("SASL"), protocol.endswith("SSL")
    if sasl and not settings.kafka_user:
        return f"{said}, which needs PAYMENTS_KAFKA_USER"
    if settings.kafka_user and not sasl:
        return f"{said}, which sends no PAYMENTS_KAFKA_USER. Choose SASL_SSL, or unset the user"
    files = ("kafka_authorities", "kafka_certificate", "kafka_key")
    for name in files:
        if getattr(settings, name) and not encrypted:
            return f"{said}, which does not encrypt. Choose SSL or SASL_SSL, or unset {_of(name)}"
    return _key_alone(settings, "kafka")


def _temporal(settings: "Settings") -> str | None:
    if alone := _key_alone(settings, "temporal"):
        return alone
    if settings.given_secrets.get("temporal_api_key") and not settings.temporal_encrypted:
        return (
            "PAYMENTS_TEMPORAL_API_KEY would be sent without encryption. "
            "Set PAYMENTS_TEMPORAL_TLS=true"
        )
    if settings.temporal_encrypted and not settings.temporal_address:
        return (
            "Temporal's TLS is configured, but the local stack's development server has no TLS. "
            "Set PAYMENTS_TEMPORAL_ADDRESS too"
        )
    return None


def _postgres(settings: "Settings") -> str | None:
    if not settings.postgres_authorities:
        return None
    given = {"postgres_dsn": settings.postgres_dsn, "dagster_dsn": settings.dagster_dsn}
    dsns = {name: dsn.get_secret_value() for name, dsn in given.items() if dsn}
    if not any(dsns.values()):
        return (
            "PAYMENTS_POSTGRES_AUTHORITIES is set, but the local stack's PostgreSQL has no TLS. "
            "Set PAYMENTS_POSTGRES_DSN too"
        )
    for name, dsn in dsns.items():
        modes = parse_qs(urlsplit(dsn).query).get("sslmode", [VERIFY_FULL])
        if modes != [VERIFY_FULL]:
            return (
                f"{_of(name)} has another sslmode than {VERIFY_FULL}, which "
                "PAYMENTS_POSTGRES_AUTHORITIES asks for. Remove sslmode from the DSN"
            )
    return None


def _lake(settings: "Settings") -> str | None:
    for name, url in (("s3", settings.s3), ("catalog", settings.catalog)):
        if getattr(settings, f"{name}_authorities") and urlsplit(url).scheme != "https":
            address = _of("s3_endpoint" if name == "s3" else "catalog_uri")
            return (
                f"{_of(f'{name}_authorities')} is set, but {address} is no https address, so no "
                "certificate is checked"
            )
    return None


def _key_alone(settings: "Settings", client: str) -> str | None:
    if getattr(settings, f"{client}_key") and not getattr(settings, f"{client}_certificate"):
        return f"{_of(f'{client}_key')} is set without {_of(f'{client}_certificate')}"
    return None


def _of(name: str) -> str:
    return f"PAYMENTS_{name.upper()}"
