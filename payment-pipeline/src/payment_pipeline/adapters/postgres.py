"""PostgreSQL: a connection pool with time limits, advisory locks, and a clear connection error."""

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
"""A batch of 1,000 events takes less than a tenth of a second, the window of an audit seconds."""
LOCK_TIMEOUT_MS: Final = 15_000
"""Longer than any writer holds a row, and shorter than `STATEMENT_TIMEOUT_MS`, so that the error
names the lock."""
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 60_000
"""A client that died between two statements must not keep an entity's row locked, or hold back the
transaction horizon."""

_CANNOT_CONNECT: Final = (
    OSError,
    TimeoutError,
    ValueError,  # the DSN cannot be parsed
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
)

_NO_DSN: Final = (
    "Set PAYMENTS_POSTGRES_DSN to a URL like postgresql://user:password@host:port/database."
)


async def pool(
    settings: Settings,
    size_min: int = 1,
    size_max: int = 4,
    *,
    application: str = "payments",
    service: Service | None = None,
) -> asyncpg.Pool:
    """Connect to the pipeline's database; `jsonb` values become Python objects.

    A `bytes` parameter for a `jsonb` column must be serialized JSON.

    Args:
        settings: the address and the passwords.
        size_min: connections to open at once.
        size_max: maximum of connections.
        application: the name shown in `pg_stat_activity`.
        service: the service whose role is used; without one, the role of bronze's owner.

    Raises:
        UserError: no connection is possible. The text says why and has no password.
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
                # Hides the notices of `CREATE … IF NOT EXISTS`.
                "client_min_messages": "warning",
                # Compiling a plan takes longer than any of these queries.
                "jit": "off",
            },
        )
    except _CANNOT_CONNECT as refusal:
        raise unreachable(dsn, _said(refusal)) from None


@asynccontextmanager
async def exclusive(
    pool: asyncpg.Pool, lock_key: int, refusal: str
) -> AsyncIterator[asyncpg.Connection]:
    """Hold an advisory lock, and yield the connection that holds it.

    The lock ends with its connection, so a killed process leaves no lock behind.

    Args:
        pool: the pool; one of its connections is held.
        lock_key: the key of the advisory lock.
        refusal: the error message if another process holds the lock.

    Raises:
        UserError: another process holds the lock.
    """
    async with pool.acquire() as connection:  # the pool unlocks returned connections
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key):
            raise UserError(refusal, 1)
        yield connection


def unreachable(dsn: str, said: str) -> UserError:
    """Return the error for a failed connection: the address, the user and the reason."""
    # Parts of a DSN are quoted only if it can be parsed: otherwise any part may be the password.
    try:
        parts = urlsplit(dsn)
        port = parts.port or 5432
    except ValueError:
        return UserError(_NO_DSN)
    if parts.scheme not in {"postgresql", "postgres"}:
        return UserError(_NO_DSN)
    return UserError(
        f"No PostgreSQL at {parts.hostname}:{port}, database {parts.path.lstrip('/')}, user "
        f"{parts.username} ({said}). Start it with `payments up`, or set PAYMENTS_POSTGRES_DSN."
    )


def _password(settings: Settings, service: Service | None) -> str:
    """Return the password; each new connection asks, so that a service uses a rotated password."""
    return settings.secret(f"postgres_{service}_password" if service else "postgres_password")


def _said(refusal: Exception) -> str:
    """Return the server's message, or only the type of an error of the client, which may quote."""
    if isinstance(refusal, asyncpg.PostgresError):
        return str(refusal.args[0])
    return type(refusal).__name__


async def _read_json(connection: asyncpg.Connection) -> None:
    """Read and write `jsonb` in the binary format, which COPY needs: the byte 1, then the text."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode, decoder=_decode, format="binary"
    )


def _encode(value: object) -> bytes:
    return b"\x01" + (value if isinstance(value, bytes) else orjson.dumps(value))


def _decode(value: bytes) -> object:
    return orjson.loads(memoryview(value)[1:])
