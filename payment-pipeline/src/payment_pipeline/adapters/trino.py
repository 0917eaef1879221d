"""Trino: a connection, or an error that says why there is none.

The Trino client is imported only when a connection is requested, because the stages up to bronze
run without it.
"""

import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from payment_pipeline.settings import Settings

if TYPE_CHECKING:
    from trino.dbapi import Connection as TrinoConnection

CATALOG: Final = "lakehouse"
ANSWER_TIMEOUT_S: Final = 5.0
"""Limit for the answer that shows that the server is Trino."""
REQUEST_TIMEOUT_S: Final = 60.0


class NoTrinoError(Exception):
    """No connection to Trino is possible; the text is the reason, as part of a sentence."""


def connect(settings: Settings, *, application: str = "payments") -> "TrinoConnection":
    """Return a connection to the lakehouse's catalog; it has sent no query yet.

    Args:
        settings: the address, the user and the password.
        application: the source of the queries, shown in Trino's UI.

    Raises:
        NoTrinoError: Trino does not run or is starting, the server is not Trino, or the client is
            not installed.
    """
    where = urlsplit(settings.trino)
    secure = where.scheme == "https"
    host, port = where.hostname or settings.host, where.port or (443 if secure else 80)
    try:
        socket.create_connection((host, port), ANSWER_TIMEOUT_S).close()
    except OSError:
        raise NoTrinoError("Trino is not running") from None
    try:
        import requests
        from trino.auth import BasicAuthentication
        from trino.dbapi import Connection
    except ImportError:
        raise NoTrinoError("the lakehouse's packages are not installed") from None
    try:
        info = requests.get(f"{settings.trino}/v1/info", timeout=ANSWER_TIMEOUT_S).json()
        if info["starting"]:
            raise NoTrinoError("Trino is still starting")
    except (requests.RequestException, LookupError, TypeError):
        raise NoTrinoError(f"the server at {settings.trino} is not Trino") from None
    password = settings.trino_password
    user = settings.trino_user
    auth = BasicAuthentication(user, password.get_secret_value()) if password else None
    return Connection(
        host=host,
        port=port,
        http_scheme=where.scheme,
        user=user,
        auth=auth,
        catalog=CATALOG,
        source=application,
        request_timeout=REQUEST_TIMEOUT_S,
        legacy_prepared_statements=False,
    )


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that dbt's profile reads.

    They hold Trino's password when it has one: only for the environment of dbt's own process.
    """
    where = urlsplit(settings.trino)
    secure = where.scheme == "https"
    given = settings.trino_password
    return {
        "DBT_TRINO_HOST": where.hostname or settings.host,
        "DBT_TRINO_PORT": str(where.port or (443 if secure else 80)),
        "DBT_TRINO_SCHEME": where.scheme,
        "DBT_TRINO_USER": settings.trino_user,
        "DBT_TRINO_CATALOG": CATALOG,
        **({"DBT_TRINO_PASSWORD": given.get_secret_value()} if given else {}),
    }
