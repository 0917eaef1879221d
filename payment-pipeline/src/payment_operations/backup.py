"""How is bronze backed up and brought back? Its rows, by pg_dump and pg_restore.

The schema is not in the backup: `payments migrate` makes today's, roles and rights included, and a
backup of an older one fits into it. A restored database counts transactions of its own, so rows
can't keep the numbers that the old one gave them: they take the restore's, which is below whatever
comes later. `bronze_restores` tells the lake's loader that this is another database, even where it
has the old one's name and cluster; it refuses until it is anchored anew.
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
"""A backup has what bronze has, the bodies of dead letters among it."""
NOT_ROWS_OF_OURS: Final = ("*yoyo*", "bronze_restores")
"""What was migrated and restored is this database's own to know."""
ORDERED: Final = (EVENTS_TABLE, QUARANTINE_TABLE, DECISIONS_TABLE, AUDITS_TABLE)
"""The tables that the lake reads in the order of their transactions."""
CREATED_AT: Final = "; Archive created at "

_SQL: Final = queries(__package__, "backup.sql")


class BackedUp(NamedTuple):
    """What is in the file."""

    events: int
    bytes: int


class Restored(NamedTuple):
    """What is in the database again."""

    events: int
    taken_at: datetime
    """When the backup was begun, UTC."""


def backup(settings: Settings, file: Path) -> BackedUp:
    """Write bronze's rows, as of one moment, to a file that isn't there yet.

    Raises:
        UserError: it is there; PostgreSQL can't be reached; pg_dump refused.
    """
    if file.exists():
        raise UserError(f"{file} is there already: give the backup another name.")
    part = file.with_name(f"{file.name}.part")
    with _connected(settings) as connection:
        events = _count(connection)
        schema = connection.execute("SELECT current_schema()").fetchone() or ("public",)
    part.touch(PRIVATE)
    try:
        _run(
            settings, "pg_dump", "--data-only", "--format=custom", "--no-password",
            f"--schema={schema[0]}", *(f"--exclude-table={each}" for each in NOT_ROWS_OF_OURS),
            f"--file={part}",
        )  # fmt: skip
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return BackedUp(events, file.stat().st_size)


def restore(settings: Settings, file: Path) -> Restored:
    """Bring a backup's rows into a database that has none; one that was cut off begins anew.

    Raises:
        UserError: there are rows, which no restore that was cut off left; the file is no backup;
            PostgreSQL can't be reached.
    """
    if not file.is_file():
        raise UserError(f"No backup {file}: `payments backup {file}` writes one.")
    taken_at = _taken_at(settings, file)
    migrate(settings)
    with _connected(settings) as connection:
        cut_off = connection.execute(_SQL["cut_off"]).fetchone() != (0,)
        if cut_off and _was_used(connection):
            raise UserError(
                "The database has rows that came after a restore that was cut off: restore into an "
                "empty one, or empty it first."
            )
        if not cut_off and (events := _count(connection)):
            raise UserError(
                f"The database has {events:,} events: restore into an empty one, or empty it first."
            )
        _empty(connection)
        connection.execute(_SQL["begin"])
        # One transaction: what is cut off leaves nothing but its name in bronze_restores.
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
        raise UserError("Bronze has no tables: create them with `payments migrate`.") from None


def _was_used(connection: psycopg.Connection[tuple[int, ...]]) -> bool:
    """Whether there is more than what a restore left that was cut off."""
    writers: set[int] = set()
    for table in _tables(connection):
        found = connection.execute(sql.SQL(_SQL["writers"]).format(table=table))
        writers.update(writer for (writer,) in found)
    younger = (
        connection.execute(sql.SQL(_SQL["younger"]).format(table=sql.Identifier(table))).fetchone()
        for table in ORDERED
    )
    # A restore's rows are of one transaction, whatever their columns say, and are older than it.
    return len(writers) > 1 or any(found == (True,) for found in younger)


def _empty(connection: psycopg.Connection[tuple[int, ...]]) -> None:
    """A table may have rows though there are no events, or what a cut restore left."""
    listed = sql.SQL(", ").join(_tables(connection))
    connection.execute(sql.SQL("TRUNCATE {}").format(listed))


def _tables(connection: psycopg.Connection[tuple[int, ...]]) -> list[sql.Identifier]:
    names = connection.execute(_SQL["tables"]).fetchall()
    return [sql.Identifier(str(name)) for (name,) in names]


def _taken_at(settings: Settings, file: Path) -> datetime:
    listed = _run(settings, "pg_restore", "--list", str(file)).splitlines()
    said = next(line for line in listed if line.startswith(CREATED_AT))
    at = said.removeprefix(CREATED_AT).removesuffix(" UTC")
    return datetime.strptime(at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _run(settings: Settings, program: str, *words: str) -> str:
    """One of PostgreSQL's programs; what it printed.

    Raises:
        UserError: it failed; the sentence holds its last line.
    """
    done = subprocess.run(  # noqa: S603 - the packaged program
        [str(binaries() / program), *words],
        env={**os.environ, **_environment(settings.dsn), "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:]
        raise UserError(f"{program} failed: {' '.join(reason)}", exit_code=1)
    return done.stdout


def _environment(dsn: str) -> dict[str, str]:
    """A DSN as libpq's variables: on a command line, everybody could read the password."""
    names = {"dbname": "PGDATABASE", "options": "PGOPTIONS", "sslmode": "PGSSLMODE"}
    return {
        names.get(name, f"PG{name.upper()}"): str(value)
        for name, value in conninfo_to_dict(dsn).items()
        if value is not None
    }
