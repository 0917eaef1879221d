"""How does a corrected event take the place of the row that it was before?

A row that says the same is left alone, whichever version normalized it. Of one that doesn't, the
old version goes to `payment_events_history`, and the new one keeps the row's identity (`id`,
`ingested_at`, the receipt, the scores and the workflow) under a new transaction, which is how the
lake and the marts hear of every change. The features that it makes stale are noted in the same
transaction and folded anew afterwards (`refold`).
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

# Who it is and how it came: the same for every normalization of a receipt, and another for each
# delivery of one event.
_RECEIPT: Final = frozenset(
    {
        *("provider", "event_id", "received_at", "traceparent", "body_sha256"),
        "normalizer_version",
    }
)
CONTENT: Final = (*(name for name in COMMON if name not in _RECEIPT), "attributes")
"""The columns that the normalizer decides about, and that a correction may change."""


class Correction(NamedTuple):
    """A row that is not what today's normalizer makes of the same body."""

    event: PaymentEvent
    """What is to stand there."""
    columns: tuple[str, ...]
    """Which of `CONTENT` differ."""


class Compared(NamedTuple):
    """How events stand to bronze; every one is in exactly one of the lists."""

    unchanged: list[PaymentEvent]
    corrections: list[Correction]
    others: list[PaymentEvent]
    """In bronze under the same id, with another body: theirs came first."""
    absent: list[PaymentEvent]


async def compare(
    connection: asyncpg.Connection | asyncpg.Pool, events: Sequence[PaymentEvent]
) -> Compared:
    """Hold events against the rows of their keys; nothing is locked or written."""
    return _compared(events, await _rows(connection, "stored", events))


async def correct(pool: asyncpg.Pool, events: Sequence[PaymentEvent], by: str) -> list[Correction]:
    """Put events in the place of their rows where these say something else, in one transaction.

    Args:
        pool: of `adapters.postgres.pool`.
        events: as they are to stand; best 500. One that isn't in bronze, or not with this body, is
            passed over.
        by: what `payment_events_history.corrected_by` says.

    Returns:
        What was changed: nothing, the second time.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL can't do it now, or won't
            take an event; nothing of this call was written.
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
    """The hashes of those events' bodies that are in the quarantine."""
    columns = [event.event_id for event in events], [event.body_sha256 for event in events]
    return {row[0] for row in await connection.fetch(SQL["quarantined"], *columns)}


async def bodies(
    connection: asyncpg.Connection | asyncpg.Pool, keys: Sequence[tuple[str, str]]
) -> set[str]:
    """The hashes of the bodies that are in bronze under these providers and event ids."""
    columns = [provider for provider, _ in keys], [event_id for _, event_id in keys]
    return {row["body_sha256"] for row in await connection.fetch(SQL["stored"], *columns)}


async def without_letter(
    connection: asyncpg.Connection | asyncpg.Pool, letters: Sequence[BadRecord]
) -> list[BadRecord]:
    """Those dead letters whose raw record is not in the quarantine."""
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
    """The entities on which the new event of a pair leaves another mark than the old one did.

    An event's mark is the state that it alone leaves: where it is the same, so is every fold.
    """
    found = set[EntityKey]()
    for old, new in pairs:
        touched = {*entities(old), *entities(new)}
        found |= {key for key in touched if _mark(key, old) != _mark(key, new)}
    return found


def _mark(key: EntityKey, event: PaymentEvent) -> EntityState:
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
    """Of several deliveries of one body the last counts: all normalize to the same."""
    found = Compared([], [], [], [])
    distinct = {(*_key(event), event.body_sha256): event for event in events}
    for event in distinct.values():
        row = rows.get(_key(event))
        if row is None:
            found.absent.append(event)
        elif row["body_sha256"] != event.body_sha256:
            found.others.append(event)
        elif (row["customer_id"] or "").startswith(STAND_IN):
            # Whose it was is forgotten: a redelivery that names them again corrects nothing.
            found.unchanged.append(event)
        elif columns := differing(row, event):
            found.corrections.append(Correction(event, columns))
        else:
            found.unchanged.append(event)
    return found


def differing(row: Mapping[str, Any], event: PaymentEvent) -> tuple[str, ...]:
    """The columns of `CONTENT` in which a stored row is not the event."""
    wanted = dict(zip(COLUMNS, _record(event), strict=True))
    wanted["attributes"] = orjson.loads(wanted["attributes"])
    return tuple(name for name in CONTENT if row[name] != wanted[name])


async def _supersede(
    connection: asyncpg.Connection, events: Sequence[PaymentEvent], by: str
) -> None:
    keys = [event.provider for event in events], [event.event_id for event in events]
    # Taken after the locks, so that it is later than what any earlier correction wrote.
    moment = await connection.fetchval("SELECT clock_timestamp()")
    await connection.execute(SQL["archive"], *keys, moment, by)
    await connection.execute(_EVENTS_SQL["create_incoming"])
    await connection.copy_records_to_table(
        "incoming_events", records=[_record(event) for event in events], columns=COLUMNS
    )
    await connection.execute(SQL["supersede"], moment)


def _record(event: PaymentEvent) -> tuple[Any, ...]:
    """The event's own columns; what a correction doesn't touch is not read from here."""
    return to_record(ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE), workflow_id="")


def _key(event: PaymentEvent) -> EventId:
    return EventId(event.provider, event.event_id)
