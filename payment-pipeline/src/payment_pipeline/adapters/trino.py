"""How does the pipeline ask Trino: one connection, or one sentence that says why there is none?

The client is imported only here and only when it is asked for: the first half runs without it.
"""

import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from payment_pipeline.settings import Settings

if TYPE_CHECKING:
    from trino.dbapi import Connection as TrinoConnection

CATALOG: Final = "lakehouse"
ANSWER_TIMEOUT_S: Final = 5.0
"""For something that listens there to say that it is Trino."""
REQUEST_TIMEOUT_S: Final = 60.0


class NoTrinoError(Exception):
    """There is no Trino to ask; the text says why, to be put into a sentence."""


def connect(settings: Settings, *, application: str = "payments") -> "TrinoConnection":
    """A connection to the lakehouse's catalog, on which nothing is asked yet.

    Args:
        settings: whose `trino`, user and password are used.
        application: shown as the query's source in Trino's UI.

    Raises:
        NoTrinoError: nobody listens there, or it isn't Trino, or its client isn't installed.
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
        told = requests.get(f"{settings.trino}/v1/info", timeout=ANSWER_TIMEOUT_S).json()
        if told["starting"]:
            raise NoTrinoError("Trino is still starting")
    except (requests.RequestException, LookupError, TypeError):
        raise NoTrinoError(f"what listens at {settings.trino} is not Trino") from None
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
