"""The settings, from environment variables and `.env`. No other module reads the environment.

A setting is an environment variable with the prefix `PAYMENTS_`, or a line of `.env`, which git
ignores. A secret is one of these too, or a file in `<var>/secrets/`. `payments up` generates each
missing file once.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import DotEnvSettingsSource, SettingsConfigDict

from payment_pipeline import resources, unknown_variables
from payment_pipeline.connection_settings import VERIFY_FULL, ConnectionSettings, OptionalPath
from payment_pipeline.domain.failures import UserError
from payment_pipeline.secret_length import several, too_short

HOME: Final = Path(os.environ.get("PAYMENTS_HOME") or ".").expanduser().absolute()
"""The folder of `.env` and, by default, of `var`.

It is `PAYMENTS_HOME` from the environment, or the directory in which the process started.
"""

PRIVATE_UMASK: Final = 0o077
"""The file mode mask of every process: only its own user can open the files that it makes."""

FINGERPRINT_HEX: Final = 8

DAGSTER_USER: Final = "payments"
"""The user of Dagster's web server in a secure stack."""
SECURE: Final = "secure"
"""The file in `var` of a local stack that was started with `payments up --secure`."""

TrinoUser = Literal["owner", "reader"]
"""Trino's users: `trino_user` loads and transforms, `trino_reader` only reads."""

Service = Literal["worker", "lake", "reader", "actions"]
"""The services that have a PostgreSQL role, `payments_<service>`.

`bronze/queries/grants.sql` says what each role may do.
"""


class Signer(Protocol):
    """The part of a provider that `Settings.signing_secrets` needs."""

    @property
    def name(self) -> str:
        """The provider's name, as in its settings."""
        ...

    def is_secret(self, text: str) -> bool:
        """False for a placeholder, which is public knowledge."""
        ...


class Settings(ConnectionSettings):
    """All settings. The defaults are for one machine that listens on loopback."""

    model_config = SettingsConfigDict(
        env_prefix="PAYMENTS_",
        env_file=HOME / ".env",
        # Fills `webhook_secrets` from `PAYMENTS_WEBHOOK_SECRETS_<PROVIDER>`.
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="ignore",
        frozen=True,
        # A message about an invalid value must not show a secret beside it.
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    # The folder of this stack's data, logs, secrets and models. Each stack needs its own folder.
    var: Path = HOME / "var"

    # The host that each server listens on and each client connects to.
    host: str = "127.0.0.1"
    gateway_port: int = Field(8000, ge=1, le=65535)
    inference_port: int = Field(8001, ge=1, le=65535)
    temporal_port: int = Field(7233, ge=1, le=65535)
    temporal_ui_port: int = Field(8233, ge=1, le=65535)
    kafka_port: int = Field(9092, ge=1, le=65535)
    kafka_controller_port: int = Field(9093, ge=1, le=65535)
    postgres_port: int = Field(5432, ge=1, le=65535)
    # /livez, /readyz and /metrics of the gateway, and of the components that serve no other HTTP.
    gateway_metrics_port: int = Field(9105, ge=1, le=65535)
    normalizer_metrics_port: int = Field(9101, ge=1, le=65535)
    dispatcher_metrics_port: int = Field(9102, ge=1, le=65535)
    worker_metrics_port: int = Field(9103, ge=1, le=65535)
    lake_metrics_port: int = Field(9104, ge=1, le=65535)
    # The lakehouse and the dashboards: `payments up --with` starts them.
    s3_port: int = Field(8333, ge=1, le=65535)
    catalog_port: int = Field(8181, ge=1, le=65535)
    trino_port: int = Field(8080, ge=1, le=65535)
    dagster_port: int = Field(3000, ge=1, le=65535)
    superset_port: int = Field(8088, ge=1, le=65535)
    # The ports between the parts of SeaweedFS.
    seaweedfs_s3_grpc_port: int = Field(8334, ge=1, le=65535)
    seaweedfs_master_port: int = Field(9333, ge=1, le=65535)
    seaweedfs_master_grpc_port: int = Field(9334, ge=1, le=65535)
    seaweedfs_volume_port: int = Field(9340, ge=1, le=65535)
    seaweedfs_volume_grpc_port: int = Field(9341, ge=1, le=65535)
    seaweedfs_filer_port: int = Field(9350, ge=1, le=65535)
    seaweedfs_filer_grpc_port: int = Field(9351, ge=1, le=65535)
    seaweedfs_admin_port: int = Field(9360, ge=1, le=65535)
    seaweedfs_admin_grpc_port: int = Field(9361, ge=1, le=65535)

    # Secrets. A value here takes precedence over the file in `<var>/secrets/`.
    # Each provider's live signing secrets, separated by commas, newest first. All of them verify,
    # so a rotation loses no request. The variable is `PAYMENTS_WEBHOOK_SECRETS_<PROVIDER>`.
    webhook_secrets: dict[str, SecretStr] = Field({})
    # The role `payments` owns the database. Each service has a role with fewer rights: `dsn_as`.
    postgres_password: SecretStr | None = None
    postgres_worker_password: SecretStr | None = None
    postgres_lake_password: SecretStr | None = None
    postgres_reader_password: SecretStr | None = None
    postgres_actions_password: SecretStr | None = None
    postgres_dagster_password: SecretStr | None = None
    # The superuser of the local PostgreSQL. It only creates the other roles.
    postgres_admin_password: SecretStr | None = None
    pseudonym_key: SecretStr | None = None
    # Encrypts and signs the files of `payments backup`.
    backup_key: SecretStr | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    # The password of Dagster's UI, which asks for it in a secure stack. The user is `payments`.
    dagster_password: SecretStr | None = None
    superset_secret_key: SecretStr | None = None
    superset_admin_password: SecretStr | None = None
    # The catalog's `client-id:client-secret`. Unset, it is the S3 key.
    catalog_credential: SecretStr | None = None
    # The passwords of Trino's two users. A Trino that runs elsewhere may need none.
    trino_password: SecretStr | None = None
    trino_reader_password: SecretStr | None = None

    # Gateway.
    signature_tolerance_s: int = Field(300, ge=1, le=3600)
    body_bytes_max: int = Field(1_048_576, ge=1024)
    signature_header_bytes_max: int = Field(4096, ge=256)
    gateway_deadline_s: float = Field(2.0, gt=0)
    gateway_in_flight_max: int = Field(2000, ge=1)
    # Bodies in memory: those being read, and those sent to Kafka without an acknowledgement yet.
    gateway_bytes_max: int = Field(64 * 1024 * 1024, ge=1024)
    gateway_connections_max: int = Field(900, ge=1)
    # The longest time for a request to arrive. The gateway closes slower connections.
    gateway_read_s_max: float = Field(10.0, gt=0)
    retry_after_s: int = Field(2, ge=1)

    # Kafka topics, as `payments migrate` creates them.
    kafka_partitions: int = Field(4, ge=1)
    kafka_replication_factor: int = Field(1, ge=1)
    kafka_retention_ms: int = Field(7 * 24 * 3600 * 1000, ge=3_600_000)

    # Normalizer and dispatcher.
    normalizer_batch_records_max: int = Field(500, ge=1)
    range_events_max: int = Field(1000, ge=1, le=1000)
    range_wait_ms: int = Field(200, ge=1)

    # Orchestrator.
    temporal_namespace: str = "default"
    fraud_review_threshold: float = Field(0.9, ge=0, le=1)
    fraud_review_timeout_s: int = Field(24 * 3600, ge=1)
    # The verdict when nobody answers in time. Nine in ten payments with a score of 0.9 are fraud.
    fraud_review_on_timeout: Literal["approved", "declined"] = "declined"

    # PostgreSQL.
    postgres_user: str = "payments"
    postgres_database: str = "payments"

    # Inference: batches in work or waiting at once, and the card networks' rules for retries.
    inference_in_flight_max: int = Field(16, ge=1)
    retry_rules: Path = Path(__file__).with_name("inference") / "retry_rules.toml"

    # The lake: an S3 region, and an Iceberg REST catalog such as SeaweedFS or Polaris.
    s3_region: str = "us-east-1"
    catalog_warehouse: str = "s3://lakehouse"
    catalog_auth: Literal["oauth2", "sigv4"] = "oauth2"
    catalog_oauth_scope: str = "catalog"
    catalog_signing_name: str = "s3tables"

    # The dbt project, from which the marts are built.
    dbt_project: Path = resources.folder("orchestration-dbt")

    # Trino: the user that loads and transforms, the user that only reads, the local server's heap.
    trino_user: str = "payments"
    trino_reader: str = "superset"
    trino_heap_mib: int = Field(2048, ge=1024)
    # An unpacked Trino. Unset, it is fetched and unpacked into the cache.
    trino_home: OptionalPath = None

    # A file (YAML) with sections of dagster.yaml, such as `run_launcher`, in place of ours.
    dagster_instance: OptionalPath = None

    # The folder of the files that are unpacked once for all stacks.
    cache: Path = Path("~/.cache/payment-pipeline")

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)
    ] = "INFO"

    # Traces: the collector's base URL for OTLP over HTTP, and the share of new traces to keep.
    # OpenTelemetry's standard variables set them too.
    otlp_endpoint: str | None = Field(
        None, validation_alias=AliasChoices("PAYMENTS_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    trace_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        validation_alias=AliasChoices("PAYMENTS_TRACE_RATIO", "OTEL_TRACES_SAMPLER_ARG"),
    )

    @property
    def secure(self) -> bool:
        """Whether the local stack was started with `payments up --secure`.

        A file says so, and not a variable: the stack's data depends on the answer for ever.
        """
        return (self.var / SECURE).exists()

    @property
    def secrets_dir(self) -> Path:
        """The folder of the generated secrets. Only its owner can read it."""
        return self.var / "secrets"

    def authority_of(self, server: str) -> Path:
        """The certificate of the authority of a server of the local stack."""
        return self.secrets_dir / f"{server}.authority.pem"

    @property
    def kafka(self) -> str:
        """Kafka's bootstrap servers, as `host:port[,host:port]`."""
        return self.kafka_bootstrap_servers or f"{self.host}:{self.kafka_port}"

    @property
    def local_kafka_has_users(self) -> bool:
        """Whether Kafka is the local broker of a secure stack, with TLS and a user a service."""
        return self.secure and not self.kafka_bootstrap_servers

    @property
    def postgres(self) -> str:
        """The PostgreSQL server with the pipeline's roles, as `host:port`."""
        return self.postgres_address or f"{self.host}:{self.postgres_port}"

    @property
    def temporal(self) -> str:
        """Temporal's frontend, as `host:port`."""
        return self.temporal_address or f"{self.host}:{self.temporal_port}"

    @property
    def temporal_ui(self) -> str:
        """The Temporal UI's base URL, without a slash at the end."""
        return (self.temporal_ui_url or f"http://{self.host}:{self.temporal_ui_port}").rstrip("/")

    @property
    def inference(self) -> str:
        """The inference service's base URL, without a slash at the end."""
        return (self.inference_url or f"http://{self.host}:{self.inference_port}").rstrip("/")

    @property
    def s3(self) -> str:
        """The S3 endpoint's URL, without a slash at the end."""
        return (self.s3_endpoint or f"http://{self.host}:{self.s3_port}").rstrip("/")

    @property
    def catalog(self) -> str:
        """The Iceberg REST catalog's base URL, without a slash at the end."""
        return (self.catalog_uri or f"http://{self.host}:{self.catalog_port}").rstrip("/")

    @property
    def trino(self) -> str:
        """Trino's base URL, without a slash at the end."""
        return (self.trino_url or f"https://{self.host}:{self.trino_port}").rstrip("/")

    @property
    def trino_certified_by(self) -> str | None:
        """The file of the authorities that certify Trino. None: the well-known authorities."""
        if self.trino_url:
            given = self.trino_authorities
            return str(absolute(given)) if given else None
        return str(self.authority_of("trino").absolute())

    def trino_password_of(self, user: TrinoUser) -> str | None:
        """The password of a user of Trino. None if Trino runs elsewhere and needs none."""
        name = "trino_password" if user == "owner" else "trino_reader_password"
        try:
            return self.secret(name)
        except MissingSecretError:
            if self.trino_url:
                return None
            raise

    @property
    def dsn(self) -> str:
        """The DSN of the database's owner. Never log it: it has the password."""
        return self._dsn(self.postgres_user, "postgres_password", self.postgres_database)

    def dsn_as(self, service: Service) -> str:
        """The DSN of a service's role. Never log it: it has the password.

        If PostgreSQL runs elsewhere, it is `PAYMENTS_POSTGRES_DSN`. Give each process the DSN of
        its role there.
        """
        password = f"postgres_{service}_password"
        return self._dsn(f"payments_{service}", password, self.postgres_database)

    @property
    def dagster_storage(self) -> str:
        """The DSN of Dagster's database. Never log it: it has the password."""
        if self.dagster_dsn:
            return _verified(self.dagster_dsn.get_secret_value(), self.postgres_authorities)
        if self.postgres_dsn:
            return urlsplit(self.dsn)._replace(path="/dagster").geturl()
        return self._dsn("dagster", "postgres_dagster_password", "dagster")

    def _dsn(self, user: str, password: str, database: str) -> str:
        if self.postgres_dsn:
            return _verified(self.postgres_dsn.get_secret_value(), self.postgres_authorities)
        return self.dsn_with(user, self.secret(password), database)

    def dsn_with(self, user: str, password: str, database: str) -> str:
        """The DSN of any role at the address `postgres`, given the text of its password."""
        dsn = f"postgresql://{user}:{quote(password, safe='')}@{self.postgres}/{database}"
        return _verified(dsn, self.postgres_authorities)

    @property
    def given_secrets(self) -> dict[str, str]:
        """The secrets that the environment and `.env` give, by the setting's name.

        A provider's is `webhook_secrets_<provider>`. Secrets in files are not in it.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        fields |= {signing_name(name): each for name, each in self.webhook_secrets.items()}
        return {
            name: text
            for name, value in fields.items()
            if isinstance(value, SecretStr) and (text := value.get_secret_value().strip())
        }

    @property
    def public(self) -> dict[str, object]:
        """Every setting that holds no secret, by its name."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value
            for name, value in fields.items()
            if name != "webhook_secrets" and not isinstance(value, SecretStr)
        }

    def secret(self, name: str) -> str:
        """One secret by its setting's name, from the environment, `.env`, or its file.

        Raises:
            MissingSecretError: none of them has it, or it is empty.
            UserError: the file can't be read, for example because it belongs to another user.
        """
        if given := self.given_secrets.get(name):
            return given
        path = self.secrets_dir / name
        try:
            value = path.read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            value = ""
        except OSError as refusal:
            raise UserError(
                f"The secret file {path} can't be read: {refusal.strerror}. Run this as the user "
                "who started the stack, or set PAYMENTS_VAR to a folder that you own."
            ) from None
        if not value:
            raise MissingSecretError(name, path)
        return value

    @property
    def dagster_login(self) -> tuple[str, str] | None:
        """The user and the password of Dagster's web server; None if it asks for no login.

        Raises:
            MissingSecretError: the password is missing.
        """
        return (DAGSTER_USER, self.secret("dagster_password")) if self.secure else None

    def signing_secrets(self, provider: Signer) -> tuple[str, ...]:
        """The live signing secrets of a provider, newest first; at least one.

        Raises:
            MissingSecretError: there is none. A gateway that can't verify must not start.
        """
        name = signing_name(provider.name)
        live = tuple(each for each in self.secrets_of(name) if provider.is_secret(each))
        if not live:
            raise MissingSecretError(name, self.secrets_dir / name)
        return live

    def secrets_of(self, name: str) -> tuple[str, ...]:
        """The secrets of a setting that may hold several, newest first; at least one.

        Raises:
            MissingSecretError: there is none.
        """
        if found := several(self.secret(name)):
            return found
        raise MissingSecretError(name, self.secrets_dir / name)


class MissingSecretError(UserError):
    """A required secret is in neither the environment, `.env` nor its file."""

    def __init__(self, name: str, path: Path) -> None:
        settable = name in Settings.model_fields or name.startswith(signing_name(""))
        written = f"Set {variable(name)}, write {path}," if settable else f"Write {path}"
        super().__init__(
            f"The secret {name} is missing. {written} or run `payments up`, which generates the "
            "file."
        )


def absolute(path: Path) -> Path:
    """A path of a setting: `~` is the user's home folder, and the rest is in the current one."""
    return path.expanduser().absolute()


def _verified(dsn: str, authorities: Path | None) -> str:
    """A DSN whose client checks the server's certificate. Unchanged without authorities.

    All drivers understand these two parameters: asyncpg, and those that are built on libpq.
    """
    if authorities is None or not dsn:
        return dsn
    where = urlsplit(dsn)
    known = [part for part in where.query.split("&") if part and not part.startswith("sslmode=")]
    checked = [f"sslmode={VERIFY_FULL}", f"sslrootcert={quote(str(absolute(authorities)))}"]
    return where._replace(query="&".join([*known, *checked])).geturl()


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"PAYMENTS_{name.upper()}"


def signing_name(provider: str) -> str:
    """The name of a provider's signing secrets: their setting and their file."""
    return f"webhook_secrets_{provider}"


def fingerprint(secret: str) -> str:
    """A short hash that names a secret in logs, metrics and the `verdict` header."""
    return sha256(secret.encode()).hexdigest()[:FINGERPRINT_HEX]


@cache
def load() -> Settings:
    """The settings of this process, read once.

    Raises:
        pydantic.ValidationError: a setting doesn't accept its value, or two contradict.
        UserError: a variable with our prefix is no setting, or a secret is short enough to be
            guessed.
    """
    found = Settings()
    given = {*os.environ, *DotEnvSettingsSource(Settings).env_vars}
    if unknown := unknown_variables.sentence(given, {*map(variable, Settings.model_fields)}):
        raise UserError(unknown)
    for name, secret in found.given_secrets.items():
        if short := too_short(name, secret):
            raise UserError(f"{variable(name)} {short.finding}: {short.remedy}.")
    return found


@contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables for the programs that this process starts meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
