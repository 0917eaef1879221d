"""Backup and restore of bronze's rows, with pg_dump and pg_restore.

The schema is not in the backup. `payments migrate` creates today's schema with its roles and
rights, and a backup of an older schema fits into it.

A restored database counts its own transactions, so the rows can't keep the transaction ids of the
old database. They get the id of the restore, which is lower than the id of every later row. The
table `bronze_restores` tells the lake's loader that this is another database, even if it has the
same name and cluster. The loader refuses to load until `payments lake reanchor`.
"""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from local_stack.components.postgres import binaries
from payment_pipeline.adapters.postgres import unreachable
from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze.contract import (
    AUDITS_TABLE,
    DECISIONS_TABLE,
    EVENTS_TABLE,
    QUARANTINE_TABLE,
)
from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

PRIVATE: Final = 0o600
"""A backup holds personal data, such as the bodies of dead letters."""
EXCLUDED_TABLES: Final = ("*yoyo*", "bronze_restores")
"""The migrations and restores of a database are facts about that database alone."""
ORDERED: Final = (EVENTS_TABLE, QUARANTINE_TABLE, DECISIONS_TABLE, AUDITS_TABLE)
"""The tables that the loader reads in the order of their transactions."""
CREATED_AT: Final = "; Archive created at "

_SQL: Final = queries(__package__, "backup.sql")


class BackedUp(NamedTuple):
    """The content of a backup file."""

    events: int
    bytes: int


class Restored(NamedTuple):
    """The content of a restored database."""

    events: int
    taken_at: datetime
    """When the backup began, UTC."""


def backup(settings: Settings, file: Path) -> BackedUp:
    """Write a consistent snapshot of bronze's rows to a new file.

    Raises:
        UserError: the file exists, PostgreSQL can't be reached, or pg_dump failed.
    """
    if file.exists():
        raise UserError(f"The file {file} exists. Give the backup another name.")
    part = file.with_name(f"{file.name}.part")
    with _connected(settings) as connection:
        events = _count(connection)
        schema = connection.execute("SELECT current_schema()").fetchone() or ("public",)
    part.touch(PRIVATE)
    try:
        _run(
            settings, "pg_dump", "--data-only", "--format=custom", "--no-password",
            f"--schema={schema[0]}", *(f"--exclude-table={each}" for each in EXCLUDED_TABLES),
            f"--file={part}",
        )  # fmt: skip
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return BackedUp(events, file.stat().st_size)


def restore(settings: Settings, file: Path) -> Restored:
    """Load a backup's rows into an empty database; an interrupted restore starts again.

    Raises:
        UserError: the database has rows that no interrupted restore left, the file is no backup, or
            PostgreSQL can't be reached.
    """
    if not file.is_file():
        raise UserError(
            f"There is no backup file {file}. Give the name of a file that `payments backup` wrote."
        )
    taken_at = _taken_at(settings, file)
    migrate(settings)
    with _connected(settings) as connection:
        cut_off = connection.execute(_SQL["cut_off"]).fetchone() != (0,)
        if cut_off and _was_used(connection):
            raise UserError(
                "A restore into this database was interrupted, and rows were written after it. "
                "Restore into an empty database, or empty this one first."
            )
        if not cut_off and (events := _count(connection)):
            raise UserError(
                f"The database has {events:,} events. Restore into an empty database, or empty "
                "this one first."
            )
        _empty(connection)
        connection.execute(_SQL["begin"])
        # One transaction: an interrupted restore leaves only its row in bronze_restores.
        _run(
            settings, "pg_restore", "--data-only", "--single-transaction", "--exit-on-error",
            "--no-password", f"--dbname={conninfo_to_dict(settings.dsn)['dbname']}", str(file),
        )  # fmt: skip
        with connection.transaction():
            for table in ORDERED:
                connection.execute(sql.SQL(_SQL["renumber"]).format(table=sql.Identifier(table)))
            connection.execute(_SQL["finish"])
        for table in ORDERED:
            connection.execute(sql.SQL(_SQL["tidy"]).format(table=sql.Identifier(table)))
        return Restored(_count(connection), taken_at)


def _connected(settings: Settings) -> psycopg.Connection[tuple[int, ...]]:
    try:
        return psycopg.connect(settings.dsn, autocommit=True, connect_timeout=10)
    except psycopg.Error as refusal:
        raise unreachable(settings.dsn, type(refusal).__name__) from None


def _count(connection: psycopg.Connection[tuple[int, ...]]) -> int:
    try:
        return (connection.execute(_SQL["events"]).fetchone() or (0,))[0]
    except psycopg.errors.UndefinedTable:
        raise UserError("Bronze has no tables. Run `payments migrate` to create them.") from None


def _was_used(connection: psycopg.Connection[tuple[int, ...]]) -> bool:
    """Say whether there are rows besides those of an interrupted restore."""
    writers: set[int] = set()
    for table in _tables(connection):
        found = connection.execute(sql.SQL(_SQL["writers"]).format(table=table))
        writers.update(writer for (writer,) in found)
    younger = (
        connection.execute(sql.SQL(_SQL["younger"]).format(table=sql.Identifier(table))).fetchone()
        for table in ORDERED
    )
    # All rows of a restore have one xmin, and were received before the restore began.
    return len(writers) > 1 or any(found == (True,) for found in younger)


def _empty(connection: psycopg.Connection[tuple[int, ...]]) -> None:
    """Empty every table: one may have rows although there are no events."""
    listed = sql.SQL(", ").join(_tables(connection))
    connection.execute(sql.SQL("TRUNCATE {}").format(listed))


def _tables(connection: psycopg.Connection[tuple[int, ...]]) -> list[sql.Identifier]:
    names = connection.execute(_SQL["tables"]).fetchall()
    return [sql.Identifier(str(name)) for (name,) in names]


def _taken_at(settings: Settings, file: Path) -> datetime:
    listed = _run(settings, "pg_restore", "--list", str(file)).splitlines()
    line = next(line for line in listed if line.startswith(CREATED_AT))
    at = line.removeprefix(CREATED_AT).removesuffix(" UTC")
    return datetime.strptime(at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _run(settings: Settings, program: str, *arguments: str) -> str:
    """Run one of PostgreSQL's programs; return its output.

    Raises:
        UserError: the program failed; the message has the last line of its error output.
    """
    done = subprocess.run(  # noqa: S603 - the packaged program
        [str(binaries() / program), *arguments],
        env={**os.environ, **_environment(settings.dsn), "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:]
        raise UserError(
            f"{program} failed. Fix the cause, then call the command again: {' '.join(reason)}",
            exit_code=1,
        )
    return done.stdout


def _environment(dsn: str) -> dict[str, str]:
    """A DSN as libpq's variables; a password on a command line would be visible to all users."""
    names = {"dbname": "PGDATABASE", "options": "PGOPTIONS", "sslmode": "PGSSLMODE"}
    return {
        names.get(name, f"PG{name.upper()}"): str(value)
        for name, value in conninfo_to_dict(dsn).items()
        if value is not None
    }
