"""What is in bronze: states to score with, rows that wait for scores, a payment's events."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import EntityKey, EntityState

from . import features
from .rows import to_event
from .sql import load

_SQL: Final = load("reader.sql")


async def feature_states(
    pool: asyncpg.Pool, keys: Sequence[EntityKey]
) -> dict[EntityKey, EntityState]:
    """The states of those entities that were ever seen, as of the last commit; one indexed read."""
    columns = features.to_columns(keys)
    return features.to_states(await pool.fetch(_SQL["feature_states"], *columns))


async def event(pool: asyncpg.Pool, event_id: str) -> dict[str, Any] | None:
    """The row of an event by the provider's id, by column name; `None` if there is none."""
    row = await pool.fetchrow(_SQL["event"], event_id)
    return dict(row) if row else None


async def payment(pool: asyncpg.Pool, payment_id: str) -> list[dict[str, Any]]:
    """The rows of a payment's events by column name, in the order they happened."""
    return [dict(row) for row in await pool.fetch(_SQL["payment"], payment_id)]


async def unscored(pool: asyncpg.Pool, limit: int) -> list[PaymentEvent]:
    """Events that inference was down for, oldest first, for `writer.rescore`."""
    return [to_event(row) for row in await pool.fetch(_SQL["unscored"], limit)]
