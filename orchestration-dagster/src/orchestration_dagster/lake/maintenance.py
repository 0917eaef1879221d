"""How do the lake's tables stay small and quick? Trino compacts, expires, sweeps and analyses."""

from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from trino.auth import BasicAuthentication
from trino.dbapi import Connection

from payment_pipeline.adapters.sql import queries
from payment_pipeline.settings import Settings

CATALOG: Final = "lakehouse"
SMALL_FILE: Final = "64MB"
"""Smaller files are merged: a minute's load makes one of some hundred kilobytes."""
RETENTION: Final = "7d"
"""Of snapshots, and of files that nobody knows: longer than any run, and Trino's own minimum."""
OPERATIONS: Final = ("compact", "expire_snapshots", "remove_orphan_files", "analyze")

_SQL: Final = queries(__package__, "maintenance.sql")


class Standing(NamedTuple):
    """A table's size."""

    files: int
    bytes: int
    snapshots: int


class Maintained(NamedTuple):
    """A table before and after one operation."""

    before: Standing
    after: Standing


def maintain(
    settings: Settings, operation: str, schema: str, table: str, retention: str = RETENTION
) -> Maintained:
    """Do one of `OPERATIONS` to a table; it changes no row.

    Raises:
        trino.exceptions.Error: Trino refuses it, or can't be had.
    """
    name = _quoted(schema, table)
    with trino(settings) as connection:
        before = _standing(connection, schema, table)
        statement = _SQL[operation].format(table=name, small_file=SMALL_FILE, retention=retention)
        _rows(connection, statement)
        return Maintained(before, _standing(connection, schema, table))


def trino(settings: Settings) -> Connection:
    """A connection to the settings' Trino, in the lakehouse's catalog."""
    url = urlsplit(settings.trino)
    password = settings.trino_password
    return Connection(
        host=url.hostname or settings.host,
        port=url.port or (443 if url.scheme == "https" else 80),
        http_scheme=url.scheme,
        user=settings.trino_user,
        auth=BasicAuthentication(settings.trino_user, password.get_secret_value())
        if password
        else None,
        catalog=CATALOG,
        source="orchestration-dagster",
    )


def _standing(connection: Connection, schema: str, table: str) -> Standing:
    statement = _SQL["standing"].format(
        files=_quoted(schema, f"{table}$files"), snapshots=_quoted(schema, f"{table}$snapshots")
    )
    (row,) = _rows(connection, statement)
    return Standing(*row)


def _rows(connection: Connection, statement: str) -> list[Any]:
    cursor = connection.cursor()
    cursor.execute(statement)
    return list(cursor.fetchall())


def _quoted(schema: str, table: str) -> str:
    return ".".join(f'"{part}"' for part in (CATALOG, schema, table))
