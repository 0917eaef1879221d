"""The settings of connections: where a component runs, how a client knows it, and as whom.

The part of `settings.Settings` for components that run elsewhere. A local stack that is secure
needs no setting: `Settings.secure`.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from payment_pipeline.catalog_settings import CatalogSettings

VERIFY_FULL: Final = "verify-full"
"""PostgreSQL's mode in which a client checks the server's certificate and its name."""

ADDRESS: Final = r"[^\s,/]+:\d{1,5}"
"""`host:port`. A client would try any other text forever."""


def _http_url(value: object) -> object:
    """Checks a URL and returns it unchanged; `None` for an empty text.

    Raises:
        ValueError: the URL has no scheme, no host, or an invalid port.
    """
    if value == "":
        return None
    if isinstance(value, str):
        where = urlsplit(value)
        wrong = where.scheme not in ("http", "https") or not where.hostname
        try:
            wrong = wrong or where.port == 0
        except ValueError:
            wrong = True
        if wrong:
            raise ValueError("should be an address such as https://trino.example:8443")
    return value


HttpUrl = Annotated[str | None, BeforeValidator(_http_url)]
"""The URL of a component; `None` stands for the component of the local stack."""

OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: value or None)]
"""A file, or `None` for an empty text."""

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


class ConnectionSettings(CatalogSettings):
    """The settings of connections. Every file is PEM."""

    # Components that run elsewhere. Unset, each is the local stack's, on `host` and its port above.
    kafka_bootstrap_servers: str | None = Field(None, pattern=rf"^({ADDRESS}(,{ADDRESS})*)?$")
    # A PostgreSQL with the pipeline's roles and their passwords, or else a DSN for all roles.
    postgres_address: str | None = Field(None, pattern=rf"^({ADDRESS})?$")
    postgres_dsn: SecretStr | None = None
    temporal_address: str | None = Field(None, pattern=rf"^({ADDRESS})?$")
    inference_url: str | None = None
    temporal_ui_url: str | None = None
    s3_endpoint: HttpUrl = None
    catalog_uri: HttpUrl = None
    trino_url: HttpUrl = None
    dagster_dsn: SecretStr | None = None

    # Stripe's API, for `payments books`: another address (the simulated one), and a restricted key.
    api_url_stripe: HttpUrl = None
    api_key_stripe: SecretStr | None = None

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

    # The tokens that inference accepts, newest first. The worker sends the newest.
    inference_token: SecretStr | None = None

    # The authorities that certify the object store, the catalog, and a Trino that runs elsewhere.
    s3_authorities: OptionalPath = None
    catalog_authorities: OptionalPath = None
    trino_authorities: OptionalPath = None

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if wrong := _kafka(self) or _temporal(self) or _postgres(self) or _lake(self):
            raise ValueError(f"{wrong}.")
        return self

    @property
    def temporal_encrypted(self) -> bool:
        """Whether the connection to Temporal uses TLS."""
        return bool(self.temporal_tls or self.temporal_authorities or self.temporal_certificate)


def _kafka(settings: ConnectionSettings) -> str | None:
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


def _temporal(settings: ConnectionSettings) -> str | None:
    if alone := _key_alone(settings, "temporal"):
        return alone
    key = settings.temporal_api_key
    shown = settings.temporal_address and key and key.get_secret_value().strip()
    if shown and not settings.temporal_encrypted:
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


def _postgres(settings: ConnectionSettings) -> str | None:
    if not settings.postgres_authorities:
        return None
    given = {"postgres_dsn": settings.postgres_dsn, "dagster_dsn": settings.dagster_dsn}
    dsns = {name: dsn.get_secret_value() for name, dsn in given.items() if dsn}
    if not any(dsns.values()) and not settings.postgres_address:
        return (
            "PAYMENTS_POSTGRES_AUTHORITIES is set, but the local stack's PostgreSQL has no TLS. "
            "Set PAYMENTS_POSTGRES_ADDRESS or PAYMENTS_POSTGRES_DSN too"
        )
    for name, dsn in dsns.items():
        modes = parse_qs(urlsplit(dsn).query).get("sslmode", [VERIFY_FULL])
        if modes != [VERIFY_FULL]:
            return (
                f"{_of(name)} has another sslmode than {VERIFY_FULL}, which "
                "PAYMENTS_POSTGRES_AUTHORITIES asks for. Remove sslmode from the DSN"
            )
    return None


def _lake(settings: ConnectionSettings) -> str | None:
    if settings.catalog_principals and settings.catalog_auth != "oauth2":
        return (
            "PAYMENTS_CATALOG_PRINCIPALS is set, but PAYMENTS_CATALOG_AUTH is "
            f"{settings.catalog_auth}, which knows no principals. Choose oauth2"
        )
    if settings.catalog_principals and not settings.catalog_uri:
        return (
            "PAYMENTS_CATALOG_PRINCIPALS is set, but the local stack's catalog has no principals. "
            "Set PAYMENTS_CATALOG_URI too"
        )
    for name, address in (
        ("s3_authorities", "s3_endpoint"),
        ("catalog_authorities", "catalog_uri"),
    ):
        url = getattr(settings, address) or ""
        if getattr(settings, name) and urlsplit(url).scheme != "https":
            return (
                f"{_of(name)} is set, but {_of(address)} is no https address, so no certificate is "
                "checked"
            )
    return None


def _key_alone(settings: ConnectionSettings, client: str) -> str | None:
    if getattr(settings, f"{client}_key") and not getattr(settings, f"{client}_certificate"):
        return f"{_of(f'{client}_key')} is set without {_of(f'{client}_certificate')}"
    return None


def _of(name: str) -> str:
    return f"PAYMENTS_{name.upper()}"
