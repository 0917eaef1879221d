"""Migrates the database schema, and grants the services' roles their rights.

The migrations are the SQL files in `migrations/`, applied once each, in order. `grants` runs after
them, because a new table may change the rights.

yoyo keeps the list of the applied migrations. It marks a migration in a second transaction, so a
migration may run twice and must allow that. yoyo's lock is a row that a killed process leaves
behind. So this module takes a lock of PostgreSQL, which ends with its connection.
"""

from importlib.resources import as_file, files
from typing import Final
from urllib.parse import urlsplit

import psycopg
from yoyo import get_backend, read_migrations

from payment_pipeline.adapters.postgres import unreachable
from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .grants import grant

CONNECT_TIMEOUT_S: Final = 10
LOCK_KEY: Final = 0x7061796D656E7473
"""The number of the advisory lock: the ASCII codes of "payments"."""

_SQL: Final = queries("payment_pipeline.bronze", "queries/migrate.sql")


def migrate(settings: Settings) -> list[str]:
    """Applies the migrations that are not applied yet, and returns their names in order.

    Callers at the same time wait for one another, and one of them applies the migrations.

    Raises:
        UserError: the database can't be reached, or it refused a migration, e.g. because the role
            lacks a right. The earlier migrations stay applied.
    """
    try:
        lock = psycopg.connect(settings.dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg.Error as refusal:
        raise unreachable(settings.dsn, type(refusal).__name__) from None
    try:
        with lock:
            lock.execute(_SQL["lock"], (LOCK_KEY,))
            applied = _apply(settings)
            grant(lock)
            return applied
    except psycopg.Error as refusal:
        raise UserError(
            f"PostgreSQL refused a migration: {primary_message(refusal)}. Check that the user "
            f"{urlsplit(settings.dsn).username} owns the database's schema and its tables.",
            exit_code=1,
        ) from refusal


def primary_message(refusal: psycopg.Error) -> str:
    """The server's message, without the detail and the statement, which may quote values."""
    return refusal.diag.message_primary or type(refusal).__name__


def _apply(settings: Settings) -> list[str]:
    folder = files(__package__) / "migrations"
    with as_file(folder) as path, get_backend(_uri(settings.dsn)) as backend:
        # The process that left yoyo's lock has ended, because its advisory lock was free.
        backend.break_lock()
        pending = backend.to_apply(read_migrations(str(path)))
        backend.apply_migrations(pending)
        return [migration.id for migration in pending]


def _uri(dsn: str) -> str:
    """The URI of the database for yoyo, where `postgresql:` alone would mean psycopg 2."""
    return f"postgresql+psycopg:{dsn.partition(':')[2]}"
