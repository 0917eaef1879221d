"""Writes events exactly once, with the online features in the same transaction.

A batch is copied to a temporary table and inserted from there. An event that is already stored
changes nothing. Only the inserted events are folded into the features. If PostgreSQL refuses a
batch, the batch is halved until the refused event is alone, so one bad event doesn't stop the
others.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.failures import BadRecord

from . import erased, feature_states
from .rows import (
    COLUMNS,
    EventId,
    ScoredEvent,
    UnstorableError,
    to_json,
    to_record,
    to_scores,
)

_EVENTS_SQL: Final = queries("payment_pipeline.bronze", "queries/events.sql")
_QUARANTINE_SQL: Final = queries("payment_pipeline.bronze", "queries/quarantine.sql")


class Refused(NamedTuple):
    """An event that PostgreSQL can't store. It goes to the quarantine, because no retry helps."""

    row: ScoredEvent
    reason: str


class Written(NamedTuple):
    """The outcome of each event of a batch. Each event is in exactly one of the lists."""

    inserted: list[ScoredEvent]
    """Events that this workflow inserted, in this call or in an earlier attempt at it."""
    duplicates: list[ScoredEvent]
    """Events that were stored before, with the same identity (`Envelope.identity_sha256`)."""
    conflicts: list[ScoredEvent]
    """Events whose id was stored before with another identity. They go to the quarantine."""
    refused: list[Refused]


async def write(pool: asyncpg.Pool, rows: Sequence[ScoredEvent], workflow_id: str) -> Written:
    """Writes a batch. The same call again changes nothing and returns the same outcomes.

    The batch is one transaction. If PostgreSQL refuses an event, each half is a transaction. An
    event and its features are always in the same transaction.

    Args:
        pool: from `adapters.postgres.pool`.
        rows: any number, best 1,000, in any order, with or without repeated events. The events of
            an erased customer are written and returned with the token instead of the customer's id.
        workflow_id: identifies the rows of this workflow, which writes one batch.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL is not available or lost
            the connection. Repeat the same call.
    """
    written = Written([], [], [], [])
    pending: Sequence[ScoredEvent] = await erased.with_tokens(pool, rows)
    while pending:
        first: dict[EventId, ScoredEvent] = {}
        again: list[ScoredEvent] = []
        for row in pending:
            if row.key in first:
                again.append(row)
            else:
                first[row.key] = row
        stored = await _store(pool, [first[key] for key in sorted(first)], workflow_id, written)
        for key, row in first.items():
            if key in stored:
                _settle(row, stored[key], ours=stored[key].workflow_id == workflow_id, into=written)
        for row in again:
            if row.key in stored:
                _settle(row, stored[row.key], ours=False, into=written)
        # If PostgreSQL refused the first body of an event, the next body is tried.
        pending = [row for row in again if row.key not in stored]
    return written


async def quarantine(pool: asyncpg.Pool, letters: Sequence[BadRecord], workflow_id: str) -> None:
    """Stores dead letters, each once. The key is the raw record's coordinates and the failure.

    Text that PostgreSQL can't store is changed to text that it can. `body` keeps the exact bytes.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL is not available or lost
            the connection. Repeat the same call.
    """
    records = sorted((_letter(letter, workflow_id) for letter in letters), key=lambda row: row[:4])
    async with pool.acquire() as connection, connection.transaction():
        await connection.executemany(_QUARANTINE_SQL["insert"], records)


async def rescore(pool: asyncpg.Pool, rows: Sequence[ScoredEvent]) -> int:
    """Writes scores and status to rows that are `unavailable`. The lake loads them again.

    Rows with another status stay unchanged, so the same call again changes nothing.

    Returns:
        The number of changed rows.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL is not available or lost
            the connection. Repeat the same call.
    """
    columns = zip(
        *((*row.key, *to_scores(row.scores), row.status.value) for row in rows), strict=True
    )
    changed = await pool.fetch(_EVENTS_SQL["rescore"], *columns) if rows else []
    return len(changed)


class _Stored(NamedTuple):
    """The stored row of a key, after the insertion."""

    body_sha256: str
    identity_sha256: str | None
    workflow_id: str


# PostgreSQL's error classes 22 (data), 23 (constraints) and 54 (limits), and errors of encoding.
_REFUSALS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,
    UnicodeEncodeError,
    UnstorableError,
)


async def _store(
    pool: asyncpg.Pool, rows: list[ScoredEvent], workflow_id: str, written: Written
) -> dict[EventId, _Stored]:
    """Inserts rows, in halves if PostgreSQL refuses one. `rows` are distinct and sorted by key."""
    try:
        async with pool.acquire() as connection, connection.transaction(isolation="read_committed"):
            return await _insert(connection, rows, workflow_id)
    except _REFUSALS as refusal:
        if len(rows) == 1:
            written.refused.append(Refused(rows[0], _reason(refusal)))
            return {}
    middle = len(rows) // 2
    lower = await _store(pool, rows[:middle], workflow_id, written)
    return lower | await _store(pool, rows[middle:], workflow_id, written)


async def _insert(
    connection: asyncpg.Connection, rows: list[ScoredEvent], workflow_id: str
) -> dict[EventId, _Stored]:
    await connection.execute(_EVENTS_SQL["create_incoming"])
    await connection.copy_records_to_table(
        "incoming_events", records=[to_record(row, workflow_id) for row in rows], columns=COLUMNS
    )
    fetched = await connection.fetch(_EVENTS_SQL["insert"])
    new = {EventId(*row) for row in fetched}
    stored = {row.key: _stored(row, workflow_id) for row in rows}
    if old := [key for key in stored if key not in new]:
        found = await connection.fetch(_EVENTS_SQL["stored"], *zip(*old, strict=True))
        stored |= {EventId(*row[:2]): _Stored(*row[2:]) for row in map(tuple, found)}
    # This step is last, because it locks the rows of the entities until the commit.
    await feature_states.fold(connection, (row.event for row in rows if row.key in new))
    return stored


def _stored(row: ScoredEvent, workflow_id: str) -> _Stored:
    return _Stored(row.event.body_sha256, row.event.identity_sha256, workflow_id)


def _settle(row: ScoredEvent, stored: _Stored, *, ours: bool, into: Written) -> None:
    if not row.event.is_delivery_of(stored.body_sha256, stored.identity_sha256):
        into.conflicts.append(row)
    elif ours:
        into.inserted.append(row)
    else:
        into.duplicates.append(row)


def _reason(refusal: Exception) -> str:
    """The error without PostgreSQL's DETAIL, which quotes values of the row."""
    return f"{type(refusal).__name__}: {refusal.args[0] if refusal.args else ''}"


def _letter(letter: BadRecord, workflow_id: str) -> tuple[str | int | bytes | datetime | None, ...]:
    errors = [
        {"path": _storable(error.path), "message": _storable(error.message)}
        for error in letter.errors
    ]
    return (
        letter.source.topic,
        letter.source.partition,
        letter.source.offset,
        letter.failure.value,
        _storable(letter.provider),
        _storable(letter.event_id),
        _storable(letter.provider_event_type),
        to_json(errors),
        letter.component,
        letter.component_version,
        letter.body,
        letter.body_sha256,
        _storable(letter.verdict),
        letter.received_at,
        letter.rejected_at,
        _storable(letter.traceparent),
        workflow_id,
        letter.identity_sha256,
    )


def _storable(text: str | None) -> str | None:
    """Text that PostgreSQL can store: U+0000 as its visible symbol, lone surrogates as `?`."""
    if text is None:
        return None
    return text.replace("\0", "\u2400").encode(errors="replace").decode()
