"""Backup and restore of bronze's rows, with pg_dump and pg_restore.

A backup is encrypted and signed with the secret `backup_key`. A restore checks the whole file
before it changes anything. No plain text is written to a disk.

The schema is not in the backup. `payments migrate` creates today's schema with its roles and
rights, and a backup of an older schema fits into it.

A restored database counts its own transactions, so the rows can't keep the transaction ids of the
old database. They get the id of the restore, which is lower than the id of every later row. The
table `bronze_restores` tells the lake's loader that this is another database, even if it has the
same name and cluster. The loader refuses to load until `payments lake reanchor`.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from local_stack.components.postgres import binaries
from payment_operations import sealed_file
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
        MissingSecretError: there is no key.
    """
    if file.exists():
        raise UserError(f"The file {file} exists. Give the backup another name.")
    part = file.with_name(f"{file.name}.part")
    with _connected(settings) as connection:
        events = _count(connection)
        schema = connection.execute("SELECT current_schema()").fetchone() or ("public",)
    part.touch(PRIVATE)
    try:
        with part.open("wb") as target:
            _dump(settings, schema[0], target)
            os.fsync(target.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return BackedUp(events, file.stat().st_size)


def restore(settings: Settings, file: Path, *, unsigned: bool = False) -> Restored:
    """Load a backup's rows into an empty database; an interrupted restore starts again.

    Args:
        settings: the database and the key.
        file: that `backup` wrote.
        unsigned: accept a file of an older version, which is neither encrypted nor signed.

    Raises:
        UserError: the database has rows that no interrupted restore left, the file is no backup,
            was changed or has another key, or PostgreSQL can't be reached.
        MissingSecretError: there is no key.
    """
    if not file.is_file():
        raise UserError(
            f"There is no backup file {file}. Give the name of a file that `payments backup` wrote."
        )
    taken_at = _taken_at(settings, _checked(settings, file, unsigned=unsigned))
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
            "--no-password", f"--dbname={conninfo_to_dict(settings.dsn)['dbname']}",
            archive=_checked(settings, file, unsigned=unsigned),
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
    for table in _tables(connection, "changed_tables"):
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


def _tables(
    connection: psycopg.Connection[tuple[int, ...]], query: str = "tables"
) -> list[sql.Identifier]:
    names = connection.execute(_SQL[query]).fetchall()
    return [sql.Identifier(str(name)) for (name,) in names]


def _checked(settings: Settings, file: Path, *, unsigned: bool) -> Iterator[bytes]:
    """The archive in a backup file, after the whole file was checked."""
    if sealed_file.is_sealed(file):
        secret = settings.secret("backup_key")
        sealed_file.verify(file, secret)
        return sealed_file.contents(file, secret)
    if not unsigned:
        raise UserError(
            f"The file {file} is neither encrypted nor signed. If an older version wrote it, and "
            "nobody else could change it since, use --unsigned."
        )
    return _plain(file)


def _plain(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(sealed_file.CHUNK_BYTES):
            yield chunk


def _taken_at(settings: Settings, archive: Iterator[bytes]) -> datetime:
    listed = _run(settings, "pg_restore", "--list", archive=archive).splitlines()
    line = next(line for line in listed if line.startswith(CREATED_AT))
    at = line.removeprefix(CREATED_AT).removesuffix(" UTC")
    return datetime.strptime(at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _dump(settings: Settings, schema: object, target: IO[bytes]) -> None:
    secret = settings.secret("backup_key")
    arguments = [
        "--data-only", "--format=custom", "--no-password",
        f"--schema={schema}", *(f"--exclude-table={each}" for each in EXCLUDED_TABLES),
    ]  # fmt: skip
    with _started(settings, "pg_dump", arguments, stdout=subprocess.PIPE) as (dumping, said):
        assert dumping.stdout is not None  # noqa: S101 - it is a pipe
        sealed_file.seal(dumping.stdout, target, secret)
        _refuse_failure("pg_dump", dumping.wait(), said)


def _run(settings: Settings, program: str, *arguments: str, archive: Iterator[bytes]) -> str:
    """Run one of PostgreSQL's programs with an archive as its input; return its output.

    Raises:
        UserError: the program failed, or the archive was changed while it was read.
    """
    with (
        tempfile.TemporaryFile("w+") as output,
        _started(settings, program, arguments, stdin=subprocess.PIPE, stdout=output) as started,
    ):
        running, said = started
        assert running.stdin is not None  # noqa: S101 - it is a pipe
        # A program that lists an archive, or that fails, does not read to its end.
        with suppress(BrokenPipeError), running.stdin as given:
            for part in archive:
                given.write(part)
        _refuse_failure(program, running.wait(), said)
        output.seek(0)
        return output.read()


@contextmanager
def _started(
    settings: Settings, program: str, arguments: Sequence[str], **pipes: IO[str] | int
) -> Iterator[tuple[subprocess.Popen[bytes], IO[str]]]:
    """Start one of PostgreSQL's programs; yield it and its error output. A mistake kills it."""
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(  # noqa: S603 - the packaged program
            [str(binaries() / program), *arguments],
            env={**os.environ, **_environment(settings.dsn), "TZ": "UTC"},
            stderr=said,
            **pipes,  # type: ignore[call-overload]
        ) as running,
    ):
        try:
            yield running, said
        except BaseException:
            running.kill()
            raise


def _refuse_failure(program: str, exit_code: int, said: IO[str]) -> None:
    """Raise the last line of the error output of a program that failed."""
    if exit_code:
        said.seek(0)
        reason = said.read().strip().splitlines()[-1:]
        raise UserError(
            f"{program} failed. Fix the cause, then call the command again: {' '.join(reason)}",
            exit_code=1,
        )


def _environment(dsn: str) -> dict[str, str]:
    """A DSN as libpq's variables; a password on a command line would be visible to all users."""
    names = {"dbname": "PGDATABASE", "options": "PGOPTIONS", "sslmode": "PGSSLMODE"}
    return {
        names.get(name, f"PG{name.upper()}"): str(value)
        for name, value in conninfo_to_dict(dsn).items()
        if value is not None
    }
