"""Bring a database to today's schema: the plain SQL in `migrations/`, applied once each, in order.

Then each service's role is given its rights (`roles`), which a new table may have changed.

yoyo keeps the list of what was applied. It marks a migration in a transaction after the one that
applied it, and its own lock is a row that a killed process leaves behind; so the migrations may run
twice, and the lock here is PostgreSQL's, which goes with its connection.
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
"""The advisory lock's number: the ASCII of "payments"."""

_SQL: Final = queries("payment_pipeline.bronze", "queries/migrate.sql")


def migrate(settings: Settings) -> list[str]:
    """Apply what is not applied yet; return the names of those, in order. Empty: nothing to do.

    Callers at the same time wait for one another, and only one applies.

    Raises:
        UserError: the database can't be reached, or it refused, e.g. since its role lacks a right;
            the migrations before that stay applied.
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
            f"PostgreSQL refuses bronze's schema ({primary_message(refusal)}): does user "
            f"{urlsplit(settings.dsn).username} own the database's schema and its tables?",
            exit_code=1,
        ) from refusal


def primary_message(refusal: psycopg.Error) -> str:
    """The server's own words, without the details and the statement, which may quote values."""
    return refusal.diag.message_primary or type(refusal).__name__


def _apply(settings: Settings) -> list[str]:
    folder = files(__package__) / "migrations"
    with as_file(folder) as path, get_backend(_uri(settings.dsn)) as backend:
        # Whoever held it is gone: its advisory lock was free.
        backend.break_lock()
        pending = backend.to_apply(read_migrations(str(path)))
        backend.apply_migrations(pending)
        return [migration.id for migration in pending]


def _uri(dsn: str) -> str:
    """Yoyo's name of the same database; its `postgresql:` means psycopg 2."""
    return f"postgresql+psycopg:{dsn.partition(':')[2]}"
