"""Computes feature states again from all events, after a correction or a migration.

A fold can't remove an event: a maximum or the latest twenty times don't keep the values behind
them. So the state of each entity in `entity_features_due` is folded again from all of its events.
The first pass reads one snapshot and holds no lock. The second pass locks the states and folds the
events that were written since. A writer folds its events under the same locks, in the transaction
that inserts them. So each event is either read here or folded by its writer afterwards.

Only one caller may run at a time. `lock` is held during a whole replay.
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

import asyncpg

from payment_pipeline.adapters import postgres
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import Entity, EntityKey, EntityState, apply, entities

from . import feature_states
from .corrections import SQL
from .rows import EventId, to_event

LOCK_KEY: Final = 0x7265706C6179
"""The number of the advisory lock: the ASCII codes of "replay"."""
ROWS_A_FETCH: Final = 2_000


def lock(pool: asyncpg.Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Excludes every other replay of this database, and every erasure.

    Raises:
        UserError: another replay or an erasure is running.
    """
    refusal = "Another replay or an erasure is running on this database. Wait until it ends."
    return postgres.exclusive(pool, LOCK_KEY, refusal)


async def is_due(pool: asyncpg.Pool) -> bool:
    """True if the state of any entity is stale."""
    due: bool = await pool.fetchval(SQL["is_due"])
    return due


async def refold(pool: asyncpg.Pool) -> int:
    """Computes the due states again, and returns their number. Needs two connections.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL is not available. The
            states stay due.
    """
    async with (
        pool.acquire() as before,
        before.transaction(isolation="repeatable_read", readonly=True),
    ):
        due = {
            EntityKey(provider, Entity(entity), entity_id)
            for provider, entity, entity_id in await before.fetch(SQL["due"])
        }
        if not due:
            return 0
        horizon = await before.fetchval(SQL["horizon"])
        states = {key: EntityState() for key in due}
        wanted = before.cursor(SQL["events_of"], *_by_entity(due), prefetch=ROWS_A_FETCH)
        async for row in wanted:
            _fold(states, to_event(row))
        async with pool.acquire() as connection, connection.transaction():
            columns = feature_states.to_columns(sorted(due))
            await feature_states.lock(connection, columns)
            for event in await _since(connection, before, horizon):
                _fold(states, event)
            await feature_states.write_back(connection, states)
            await connection.execute(SQL["done"], *columns)
    return len(due)


async def _since(
    connection: asyncpg.Connection, before: asyncpg.Connection, horizon: str
) -> list[PaymentEvent]:
    """The events that are not in the snapshot of `before`."""
    late = {
        EventId(row["provider"], row["event_id"]): row
        for row in await connection.fetch(SQL["events_since"], horizon)
    }
    columns = [key.provider for key in late], [key.event_id for key in late]
    shown = await before.fetch(SQL["stored"], *columns)
    for row in shown:
        del late[EventId(row["provider"], row["event_id"])]
    return [to_event(row) for row in late.values()]


def _fold(states: dict[EntityKey, EntityState], event: PaymentEvent) -> None:
    for key in entities(event):
        if key in states:
            apply(states[key], key, event)


def _by_entity(keys: Iterable[EntityKey]) -> list[list[str]]:
    """The providers and ids of the customers, then of the merchants, then of the cards."""
    found = defaultdict[Entity, list[EntityKey]](list)
    for key in keys:
        found[key.entity].append(key)
    kinds = (Entity.CUSTOMER, Entity.MERCHANT, Entity.CARD)
    return [
        column
        for kind in kinds
        for column in (
            [key.provider for key in found[kind]],
            [key.entity_id for key in found[kind]],
        )
    ]
