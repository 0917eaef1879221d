"""Trino: a connection, or an error that says why there is none.

The Trino client is imported only when a connection is requested, because the stages up to bronze
run without it.
"""

import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from payment_pipeline.settings import Settings, TrinoUser

if TYPE_CHECKING:
    from requests import Session
    from trino.dbapi import Connection as TrinoConnection

CATALOG: Final = "lakehouse"
MAINTENANCE_CATALOG: Final = "maintenance"
"""The same tables. In it Trino logs in as the principal that may rewrite every table's files."""
ANSWER_TIMEOUT_S: Final = 5.0
"""Limit for the answer that shows that the server is Trino."""
REQUEST_TIMEOUT_S: Final = 60.0


class NoTrinoError(Exception):
    """No connection to Trino is possible; the text is the reason, as part of a sentence."""


def connect(
    settings: Settings, *, user: TrinoUser = "owner", application: str = "payments"
) -> "TrinoConnection":
    """Return a connection to the lakehouse's catalog; it has sent no query yet.

    The server's certificate was checked before the password is sent.

    Args:
        settings: the address, the users and their passwords.
        user: the user that connects.
        application: the source of the queries, shown in Trino's UI.

    Raises:
        NoTrinoError: Trino does not run or is starting, the server is not Trino or has no valid
            certificate, or the client is not installed.
    """
    host, port = _host_and_port(settings)
    try:
        socket.create_connection((host, port), ANSWER_TIMEOUT_S).close()
    except OSError:
        raise NoTrinoError("Trino is not running") from None
    try:
        import requests
        import trino.auth  # noqa: F401 - says whether the client is installed
    except ImportError:
        raise NoTrinoError("the lakehouse's packages are not installed") from None
    authorities = settings.trino_certified_by or True
    try:
        info = requests.get(
            f"{settings.trino}/v1/info", timeout=ANSWER_TIMEOUT_S, verify=authorities
        ).json()
        if info["starting"]:
            raise NoTrinoError("Trino is still starting")
    except requests.exceptions.SSLError:
        raise NoTrinoError(
            f"no known authority certifies the server at {settings.trino}; "
            "PAYMENTS_TRINO_AUTHORITIES can name the file of its authority"
        ) from None
    except (OSError, requests.RequestException, LookupError, TypeError):
        raise NoTrinoError(f"the server at {settings.trino} is not Trino") from None
    return connection_without_check(settings, user=user, application=application)


def connection_without_check(
    settings: Settings,
    *,
    user: TrinoUser = "owner",
    application: str = "payments",
    request_timeout_s: float = REQUEST_TIMEOUT_S,
    attempts_max: int = 3,
) -> "TrinoConnection":
    """Return a connection whose first query says whether a Trino is there.

    Raises:
        ImportError: the client is not installed.
    """
    from trino.auth import BasicAuthentication
    from trino.dbapi import Connection

    host, port = _host_and_port(settings)
    name = settings.trino_user if user == "owner" else settings.trino_reader
    password = settings.trino_password_of(user)
    return Connection(
        host=host,
        port=port,
        http_scheme=urlsplit(settings.trino).scheme,
        http_session=_session(settings),
        user=name,
        auth=BasicAuthentication(name, password) if password else None,
        catalog=CATALOG,
        source=application,
        request_timeout=request_timeout_s,
        max_attempts=attempts_max,
        legacy_prepared_statements=False,
    )


def maintenance_catalog(settings: Settings) -> str:
    """The catalog for maintenance: one of its own if the Iceberg catalog has principals."""
    return MAINTENANCE_CATALOG if settings.catalog_principals else CATALOG


def authorities_environment(settings: Settings) -> dict[str, str]:
    """Return the variable that makes a program of others check Trino's certificate as we do.

    The HTTP library lets this variable override the authorities that a program chooses. So set the
    variable for a program that speaks only to Trino.
    """
    file = settings.trino_certified_by
    return {"REQUESTS_CA_BUNDLE": file} if file else {}


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that dbt's profile reads.

    They hold Trino's password when it has one: only for the environment of dbt's own process.
    """
    host, port = _host_and_port(settings)
    password = settings.trino_password_of("owner")
    return {
        "DBT_TRINO_HOST": host,
        "DBT_TRINO_PORT": str(port),
        "DBT_TRINO_SCHEME": urlsplit(settings.trino).scheme,
        "DBT_TRINO_USER": settings.trino_user,
        "DBT_TRINO_CATALOG": CATALOG,
        "DBT_TRINO_AUTHORITIES": settings.trino_certified_by or "",
        **({"DBT_TRINO_PASSWORD": password} if password else {}),
    }


def _session(settings: Settings) -> "Session":
    """A session that checks Trino's certificate, whatever authorities the environment names."""
    import requests

    class Certified(requests.Session):
        def merge_environment_settings(self, *given: Any) -> Any:  # noqa: ANN401 - as its parent
            merged = super().merge_environment_settings(*given)
            return {**merged, "verify": settings.trino_certified_by or merged["verify"]}

    return Certified()


def _host_and_port(settings: Settings) -> tuple[str, int]:
    where = urlsplit(settings.trino)
    return where.hostname or settings.host, where.port or (443 if where.scheme == "https" else 80)
