"""How the pipeline talks to PostgreSQL: a pool with limits of its own, locks, one clear refusal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import orjson

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Service, Settings

CONNECT_TIMEOUT_S: Final = 10.0
STATEMENT_TIMEOUT_MS: Final = 30_000
"""A batch of 1,000 events takes less than a tenth of a second; a ledger's window, seconds."""
LOCK_TIMEOUT_MS: Final = 15_000
"""Longer than any writer holds a row, shorter than the statement: a waiter says what it is."""
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 60_000
"""A client that died between two statements must not hold an entity's row, nor the horizon."""

_CANNOT_CONNECT: Final = (
    OSError,
    TimeoutError,
    ValueError,  # the DSN doesn't parse
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
)

_NO_DSN: Final = "PAYMENTS_POSTGRES_DSN must read postgresql://user:password@host:port/database."


async def pool(
    settings: Settings,
    size_min: int = 1,
    size_max: int = 4,
    *,
    application: str = "payments",
    service: Service | None = None,
) -> asyncpg.Pool:
    """Connections to the pipeline's database; `jsonb` comes as Python objects.

    A `bytes` given for a `jsonb` is taken for JSON that is written already.

    Args:
        settings: whose `dsn` is used.
        size_min: connections that are opened at once.
        size_max: connections that are open at most.
        application: shown in `pg_stat_activity`.
        service: whose role is taken; if left out it is bronze's owner.

    Raises:
        UserError: there is no connection to be had, and why; the password is not in the text.
    """
    dsn = settings.dsn_as(service) if service else settings.dsn
    try:
        return await asyncpg.create_pool(
            dsn,
            password=None if settings.postgres_dsn else partial(_password, settings, service),
            min_size=size_min,
            max_size=size_max,
            timeout=CONNECT_TIMEOUT_S,
            init=_read_json,
            server_settings={
                "application_name": application,
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                # `CREATE … IF NOT EXISTS` says on each call that it does exist.
                "client_min_messages": "warning",
                # Compiling a plan takes longer than any of these queries.
                "jit": "off",
            },
        )
    except _CANNOT_CONNECT as refusal:
        raise unreachable(dsn, _said(refusal)) from None


@asynccontextmanager
async def alone(
    pool: asyncpg.Pool, lock_key: int, refusal: str
) -> AsyncIterator[asyncpg.Connection]:
    """Be the only one at some work on this database; yields the connection that holds the lock.

    The lock goes with its connection: whoever is killed leaves none behind.

    Args:
        pool: of `pool`; one of its connections is held.
        lock_key: the work's advisory lock.
        refusal: the sentence for whoever comes second.

    Raises:
        UserError: somebody else is at it.
    """
    async with pool.acquire() as connection:  # the pool unlocks what it gets back
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key):
            raise UserError(refusal, 1)
        yield connection


def unreachable(dsn: str, said: str) -> UserError:
    """The sentence for a database that can't be had: where, as whom, and what was answered."""
    # Only what parses is quoted: of anything else, any part may be the password.
    try:
        parts = urlsplit(dsn)
        port = parts.port or 5432
    except ValueError:
        return UserError(_NO_DSN)
    if parts.scheme not in {"postgresql", "postgres"}:
        return UserError(_NO_DSN)
    return UserError(
        f"No PostgreSQL at {parts.hostname}:{port}, database {parts.path.lstrip('/')}, user "
        f"{parts.username} ({said}): start it with `payments up`, or set PAYMENTS_POSTGRES_DSN."
    )


def _password(settings: Settings, service: Service | None) -> str:
    """Asked for by each new connection, so that a running service takes up a rotated one."""
    return settings.secret(f"postgres_{service}_password" if service else "postgres_password")


def _said(refusal: Exception) -> str:
    """The server's own words; of what fails before it speaks only the kind, for it may quote."""
    if isinstance(refusal, asyncpg.PostgresError):
        return str(refusal.args[0])
    return type(refusal).__name__


async def _read_json(connection: asyncpg.Connection) -> None:
    """Binary, since COPY takes no other; version 1 of the format is a byte before the text."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode, decoder=_decode, format="binary"
    )


def _encode(value: object) -> bytes:
    return b"\x01" + (value if isinstance(value, bytes) else orjson.dumps(value))


def _decode(value: bytes) -> object:
    return orjson.loads(memoryview(value)[1:])
