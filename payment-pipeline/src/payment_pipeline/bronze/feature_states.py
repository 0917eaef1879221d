"""Folds events into the feature states of their entities, in the writer's transaction.

Each writer first inserts the missing rows and then locks them, both in the order of the key. So
writers may wait for one another, but never deadlock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

import asyncpg

from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import (
    AmountTotals,
    Entity,
    EntityKey,
    EntityState,
    apply,
    entities,
)

from .contract import FEATURES

SUM_MINOR_MAX: Final = 2**63 - 1
"""The maximum of a sum of amounts. A larger sum would make its row impossible to write."""

SQL: Final = queries("payment_pipeline.bronze", "queries/feature_states.sql")
_LOCK: Final = SQL["lock"].format(states=SQL["states"])
_FIELDS: Final = tuple(field.name for field in fields(EntityState))
_COLUMNS: Final = tuple(column.name for column in FEATURES)
_AMOUNTS: Final = _FIELDS.index("amounts")
_values = attrgetter(*_FIELDS)


async def fold(connection: asyncpg.Connection, events: Iterable[PaymentEvent]) -> None:
    """Folds events into the states of their entities, within the connection's transaction."""
    touching: defaultdict[EntityKey, list[PaymentEvent]] = defaultdict(list)
    for event in events:
        for key in entities(event):
            touching[key].append(event)
    if not touching:
        return
    states = await lock(connection, to_columns(sorted(touching)))
    for key, state in states.items():
        for event in touching[key]:
            apply(state, key, event)
    await write_back(connection, states)


async def lock(
    connection: asyncpg.Connection, columns: tuple[list[str], list[str], list[str]]
) -> dict[EntityKey, EntityState]:
    """Locks the states of entities until the commit. `columns` are in the order of the key."""
    await connection.execute(SQL["insert_missing"], *columns)
    return to_states(await connection.fetch(_LOCK, *columns))


async def write_back(
    connection: asyncpg.Connection, states: Mapping[EntityKey, EntityState]
) -> None:
    """Overwrites the locked states."""
    await connection.execute(SQL["create_incoming"])
    await connection.copy_records_to_table(
        "incoming_features",
        records=[_record(key, state) for key, state in states.items()],
        columns=_COLUMNS,
    )
    await connection.execute(SQL["write_back"])


def to_states(rows: Iterable[asyncpg.Record]) -> dict[EntityKey, EntityState]:
    """Converts rows of `entity_features` to states."""
    states = {}
    for provider, entity, entity_id, *values in rows:
        values[_AMOUNTS] = {
            currency: AmountTotals(**totals) for currency, totals in values[_AMOUNTS].items()
        }
        states[EntityKey(provider, Entity(entity), entity_id)] = EntityState(*values)
    return states


def to_columns(keys: Sequence[EntityKey]) -> tuple[list[str], list[str], list[str]]:
    """The three query parameters that name entities."""
    return [key[0] for key in keys], [key[1].value for key in keys], [key[2] for key in keys]


def _record(key: EntityKey, state: EntityState) -> tuple[Any, ...]:
    for totals in state.amounts.values():
        totals.sum_minor = min(totals.sum_minor, SUM_MINOR_MAX)
    return (*key, *_values(state))
