"""What is in bronze: states for scoring, rows for a person, windows for the ledger."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import EntityKey, EntityState

from . import features
from .rows import to_event
from .sql import load

STREAM_EVENTS: Final = 10_000
"""Rows fetched at a time of a window's events: a megabyte."""
STREAM_LETTERS: Final = 50
"""Rows fetched at a time of a window's dead letters: each may carry the largest body."""

_SQL: Final = load("reader.sql")


class StoredEvent(NamedTuple):
    """An event in a window, as the ledger compares it."""

    provider: str
    event_id: str
    body_sha256: str
    amount_minor: int | None
    currency: str | None
    received_at: datetime


class StoredLetter(NamedTuple):
    """A dead letter in a window, as the ledger compares it."""

    source_topic: str
    source_partition: int
    source_offset: int
    failure: str
    provider: str
    event_id: str | None
    body_sha256: str
    body: bytes
    received_at: datetime


class Total(NamedTuple):
    """A window's events in one currency."""

    currency: str | None
    """`None`: events without an amount."""
    events: int
    hash_total: int
    """The sum of the amounts in minor units: a control figure."""


async def feature_states(
    pool: asyncpg.Pool, keys: Sequence[EntityKey]
) -> dict[EntityKey, EntityState]:
    """The states of those entities that were ever seen, as of the last commit; one indexed read."""
    return await features.read(pool, keys)


async def event(pool: asyncpg.Pool, event_id: str) -> dict[str, Any] | None:
    """The row of an event by the provider's id, by column name; `None` if there is none."""
    row = await pool.fetchrow(_SQL["event"], event_id)
    return dict(row) if row else None


async def payment(pool: asyncpg.Pool, payment_id: str) -> list[dict[str, Any]]:
    """The rows of a payment's events by column name, in the order they happened."""
    return [dict(row) for row in await pool.fetch(_SQL["payment"], payment_id)]


async def quarantined(pool: asyncpg.Pool, event_id: str) -> list[dict[str, Any]]:
    """The dead letters of an event by column name, in the order of receipt."""
    return [dict(row) for row in await pool.fetch(_SQL["quarantined"], event_id)]


async def totals(pool: asyncpg.Pool, since: datetime, until: datetime) -> list[Total]:
    """Counts and hash totals of the events received in `[since, until)`, by currency."""
    rows = await pool.fetch(_SQL["totals"], since, until)
    return [Total(currency, events, int(total)) for currency, events, total in rows]


async def failures(pool: asyncpg.Pool, since: datetime, until: datetime) -> Mapping[str, int]:
    """Counts of the dead letters received in `[since, until)`, by failure."""
    return dict(await pool.fetch(_SQL["failures"], since, until))


async def events(
    pool: asyncpg.Pool, since: datetime, until: datetime
) -> AsyncIterator[StoredEvent]:
    """Every event received in `[since, until)`, in no order, as one snapshot, a page at a time."""
    async for row in _stream(pool, "events", since, until, STREAM_EVENTS):
        yield StoredEvent(*row)


async def letters(
    pool: asyncpg.Pool, since: datetime, until: datetime
) -> AsyncIterator[StoredLetter]:
    """Every dead letter received in `[since, until)`, in no order, as one snapshot."""
    async for row in _stream(pool, "letters", since, until, STREAM_LETTERS):
        yield StoredLetter(*row)


async def unscored(pool: asyncpg.Pool, limit: int) -> list[PaymentEvent]:
    """Events that inference was down for, oldest first, for `writer.rescore`."""
    return [to_event(row) for row in await pool.fetch(_SQL["unscored"], limit)]


async def _stream(
    pool: asyncpg.Pool, query: str, since: datetime, until: datetime, page: int
) -> AsyncIterator[asyncpg.Record]:
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        async for row in connection.cursor(_SQL[query], since, until, prefetch=page):
            yield row
