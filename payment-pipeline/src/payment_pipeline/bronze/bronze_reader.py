"""The reads of the scorer: the feature states of entities, and the events without scores."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import EntityKey, EntityState

from . import feature_states
from .rows import to_event

_SQL: Final = queries("payment_pipeline.bronze", "queries/bronze_reader.sql")


async def states_of(pool: asyncpg.Pool, keys: Sequence[EntityKey]) -> dict[EntityKey, EntityState]:
    """The committed states of the entities that have one, in one indexed read."""
    columns = feature_states.to_columns(keys)
    return feature_states.to_states(await pool.fetch(feature_states.SQL["states"], *columns))


async def unscored(pool: asyncpg.Pool, limit: int) -> list[PaymentEvent]:
    """The events without scores because inference was down, oldest first, for `writer.rescore`."""
    return [to_event(row) for row in await pool.fetch(_SQL["unscored"], limit)]


async def unscored_count(pool: asyncpg.Pool) -> int:
    """The number of events that wait for their scores."""
    return int(await pool.fetchval(_SQL["unscored_count"]))
