"""How do the online features become exact again after a correction? Folded anew, from all events.

A fold can't take an event back: a maximum or the latest twenty don't say what stood behind them. So
the states of the entities in `entity_features_due` are folded from every event that touches them:
first from one snapshot, for as long as that takes and holding nothing; then, with the states
locked, from what has been written since. A writer folds its events under the same locks and in the
transaction that inserts them, so an event is either in what was read here, or comes on top of it.

One caller at a time: `lock` is for the whole of a replay.
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
"""The advisory lock's number: the ASCII of "replay"."""
ROWS_A_FETCH: Final = 2_000


def lock(pool: asyncpg.Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Keep every other replay of this database out, and every erasure.

    Raises:
        UserError: one is at work.
    """
    refusal = "Another replay is at work on this database, or an erasure: wait for its end."
    return postgres.exclusive(pool, LOCK_KEY, refusal)


async def refold(pool: asyncpg.Pool) -> int:
    """Fold anew what is due; return how many entities that was. Needs two connections.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL can't do it now; what is
            due stays so.
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
    """The events that the snapshot of `before` doesn't show."""
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
    """Providers and ids of the customers, then of the merchants, then of the cards."""
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
