"""Compares events with their stored rows, and corrects the rows that differ.

A row with the same content stays unchanged, even if another version normalized it. If the content
differs, the old row is copied to `payment_events_history`. The corrected row keeps `id`,
`ingested_at`, the receipt, the scores and the workflow. Its new transaction id makes the lake and
the marts load it again. The same transaction records which feature states become stale. `refold`
computes these states again later.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import BadRecord
from payment_pipeline.domain.features import EntityKey, EntityState, apply, entities
from payment_pipeline.domain.raw import RawEvent

from . import feature_states
from .contract import InferenceStatus
from .erased import STAND_IN
from .rows import COLUMNS, COMMON, EventId, ScoredEvent, to_event, to_record

SQL: Final = queries("payment_pipeline.bronze", "queries/corrections.sql")
_EVENTS_SQL: Final = queries("payment_pipeline.bronze", "queries/events.sql")

# The keys and the receipt of an event. They are the same for every normalization of a receipt, and
# differ between the deliveries of one event. `identity_sha256` is one of them: the same body may
# have arrived before the identity was recorded, and after.
_RECEIPT: Final = frozenset(
    {
        *("provider", "event_id", "received_at", "traceparent", "body_sha256", "identity_sha256"),
        "normalizer_version",
    }
)
CONTENT: Final = (*(name for name in COMMON if name not in _RECEIPT), "attributes")
"""The columns that the normalizer computes and that a correction may change."""


class Correction(NamedTuple):
    """A row that differs from the result of the current normalizer for the same body."""

    event: PaymentEvent
    """The corrected event."""
    columns: tuple[str, ...]
    """The columns of `CONTENT` that differ."""


class Compared(NamedTuple):
    """Events compared with bronze. Each event is in exactly one of the lists."""

    unchanged: list[PaymentEvent]
    """The row has the same content, or bronze has the event from a delivery with another body."""
    corrections: list[Correction]
    others: list[PaymentEvent]
    """Bronze has the id with another identity, which arrived first."""
    absent: list[PaymentEvent]


async def compare(
    connection: asyncpg.Connection | asyncpg.Pool, events: Sequence[PaymentEvent]
) -> Compared:
    """Compares events with the rows of their keys. Locks and writes nothing."""
    return _compared(events, await _rows(connection, "stored", events))


async def correct(pool: asyncpg.Pool, events: Sequence[PaymentEvent], by: str) -> list[Correction]:
    """Corrects the rows that differ from the events, in one transaction.

    Args:
        pool: from `adapters.postgres.pool`.
        events: the correct events, best 500. An event that is not in bronze with the same body is
            skipped.
        by: the value of `payment_events_history.corrected_by`.

    Returns:
        The changed rows. The same call again changes none.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL is not available, or
            refuses an event. This call wrote nothing.
    """
    async with pool.acquire() as connection, connection.transaction():
        rows = await _rows(connection, "lock", events)
        found = _compared(events, rows).corrections
        if found:
            await _supersede(connection, [each.event for each in found], by)
            pairs = [(to_event(rows[_key(each.event)]), each.event) for each in found]
            keys = feature_states.to_columns(sorted(stale(pairs)))
            await connection.execute(SQL["note_due"], *keys)
        return found


async def quarantined(
    connection: asyncpg.Connection | asyncpg.Pool, events: Sequence[PaymentEvent | RawEvent]
) -> set[str]:
    """The hashes of bodies and of identities of these events that are in the quarantine."""
    columns = (
        [event.event_id for event in events],
        [event.body_sha256 for event in events],
        [event.identity_sha256 for event in events],
    )
    rows = await connection.fetch(SQL["quarantined"], *columns)
    return {digest for row in rows for digest in row if digest is not None}


async def bodies(
    connection: asyncpg.Connection | asyncpg.Pool, keys: Sequence[tuple[str, str]]
) -> set[str]:
    """The hashes of the bodies that bronze has for these providers and event ids."""
    columns = [provider for provider, _ in keys], [event_id for _, event_id in keys]
    return {row["body_sha256"] for row in await connection.fetch(SQL["stored"], *columns)}


async def without_letter(
    connection: asyncpg.Connection | asyncpg.Pool, letters: Sequence[BadRecord]
) -> list[BadRecord]:
    """The dead letters without a row in the quarantine for their raw record."""
    at = [letter.source for letter in letters]
    columns = [each.topic for each in at], [each.partition for each in at]
    found = await connection.fetch(
        SQL["quarantined_records"], *columns, [each.offset for each in at]
    )
    kept = {tuple(row) for row in found}
    return [
        letter
        for letter in letters
        if (letter.source.topic, letter.source.partition, letter.source.offset) not in kept
    ]


def stale(pairs: Iterable[tuple[PaymentEvent, PaymentEvent]]) -> set[EntityKey]:
    """The entities to which the new event of a pair contributes something else than the old event.

    The contribution of an event is the state after this event alone. If it is the same, every fold
    has the same result.
    """
    found = set[EntityKey]()
    for old, new in pairs:
        touched = {*entities(old), *entities(new)}
        found |= {key for key in touched if _contribution(key, old) != _contribution(key, new)}
    return found


def _contribution(key: EntityKey, event: PaymentEvent) -> EntityState:
    state = EntityState()
    if key in entities(event):
        apply(state, key, event)
    return state


async def _rows(
    connection: asyncpg.Connection | asyncpg.Pool, query: str, events: Sequence[PaymentEvent]
) -> dict[EventId, asyncpg.Record]:
    keys = sorted({_key(event) for event in events})
    columns = [key.provider for key in keys], [key.event_id for key in keys]
    found = await connection.fetch(SQL[query], *columns)
    return {EventId(row["provider"], row["event_id"]): row for row in found}


def _compared(
    events: Sequence[PaymentEvent], rows: Mapping[EventId, Mapping[str, Any]]
) -> Compared:
    """Compares events with rows. Of several deliveries of one body, the last one counts."""
    found = Compared([], [], [], [])
    distinct = {(*_key(event), event.body_sha256): event for event in events}
    for event in distinct.values():
        row = rows.get(_key(event))
        if row is None:
            found.absent.append(event)
        elif not event.is_delivery_of(row["body_sha256"], row["identity_sha256"]):
            found.others.append(event)
        elif row["body_sha256"] != event.body_sha256:
            # Another rendering of the same event: the first one stays in bronze.
            found.unchanged.append(event)
        elif (row["customer_id"] or "").startswith(STAND_IN):
            # The customer was erased, so a redelivery that names the customer corrects nothing.
            found.unchanged.append(event)
        elif columns := differing(row, event):
            found.corrections.append(Correction(event, columns))
        else:
            found.unchanged.append(event)
    return found


def differing(row: Mapping[str, Any], event: PaymentEvent) -> tuple[str, ...]:
    """The columns of `CONTENT` in which a row differs from an event."""
    wanted = dict(zip(COLUMNS, _record(event), strict=True))
    wanted["attributes"] = orjson.loads(wanted["attributes"])
    return tuple(name for name in CONTENT if row[name] != wanted[name])


async def _supersede(
    connection: asyncpg.Connection, events: Sequence[PaymentEvent], by: str
) -> None:
    keys = [event.provider for event in events], [event.event_id for event in events]
    # Read after the locks, so that it is later than the time of each earlier correction.
    moment = await connection.fetchval("SELECT clock_timestamp()")
    await connection.execute(SQL["archive"], *keys, moment, by)
    await connection.execute(_EVENTS_SQL["create_incoming"])
    await connection.copy_records_to_table(
        "incoming_events", records=[_record(event) for event in events], columns=COLUMNS
    )
    await connection.execute(SQL["supersede"], moment)


def _record(event: PaymentEvent) -> tuple[Any, ...]:
    """The columns of an event. A correction reads only the columns that it may change."""
    return to_record(ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE), workflow_id="")


def _key(event: PaymentEvent) -> EventId:
    return EventId(event.provider, event.event_id)
