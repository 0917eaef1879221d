"""How events are written exactly once, with the online features in the same transaction.

A batch is copied to a temporary table and inserted from there; what was there already changes
nothing. Only events that were really inserted are folded into the features. What PostgreSQL refuses
is found by halving the batch, so that one bad event never takes the others with it.
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
    """An event that PostgreSQL can't hold: for quarantine, since no retry will help."""

    row: ScoredEvent
    reason: str


class Written(NamedTuple):
    """Where each event of a batch ended: every one is in exactly one of the lists."""

    inserted: list[ScoredEvent]
    """Their rows are this workflow's: from this call, or from an earlier attempt at it."""
    duplicates: list[ScoredEvent]
    """Written before with the same body."""
    conflicts: list[ScoredEvent]
    """Written before with another body: for quarantine."""
    refused: list[Refused]


async def write(pool: asyncpg.Pool, rows: Sequence[ScoredEvent], workflow_id: str) -> Written:
    """Write a batch; the same call again changes nothing and answers the same.

    One transaction. Only if PostgreSQL refuses an event is it done over in halves, a transaction
    each: an event and its features are always in one.

    Args:
        pool: of `adapters.postgres.pool`.
        rows: any number, in any order, the same event more than once or not; best 1,000. What
            belongs to somebody who was erased is written, and answered, under the token.
        workflow_id: a workflow writes a batch of its own, so the id tells its rows.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL can't do it now, or the
            connection went; try the same call again.
    """
    written = Written([], [], [], [])
    pending: Sequence[ScoredEvent] = await erased.under_tokens(pool, rows)
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
        # Of an event whose first body was refused, the next one is tried.
        pending = [row for row in again if row.key not in stored]
    return written


async def quarantine(pool: asyncpg.Pool, letters: Sequence[BadRecord], workflow_id: str) -> None:
    """Keep dead letters, each once: the key is the raw record's coordinates and the failure.

    Text that PostgreSQL can't hold is made storable; `body` has the truth, byte for byte.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL can't do it now, or the
            connection went; try the same call again.
    """
    records = sorted((_letter(letter, workflow_id) for letter in letters), key=lambda row: row[:4])
    async with pool.acquire() as connection, connection.transaction():
        await connection.executemany(_QUARANTINE_SQL["insert"], records)


async def rescore(pool: asyncpg.Pool, rows: Sequence[ScoredEvent]) -> int:
    """Put scores and status on rows that are `unavailable`; the lake will see them again.

    Rows of another status are left alone, so the same call again changes nothing.

    Returns:
        How many rows were changed.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL can't do it now, or the
            connection went; try the same call again.
    """
    columns = zip(
        *((*row.key, *to_scores(row.scores), row.status.value) for row in rows), strict=True
    )
    changed = await pool.fetch(_EVENTS_SQL["rescore"], *columns) if rows else []
    return len(changed)


class _Stored(NamedTuple):
    """What is in the table under a key, after the insertion."""

    body_sha256: str
    workflow_id: str


# PostgreSQL's classes 22 (data), 23 (constraints) and 54 (limits), and what fails on the way there.
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
    """Insert what can be, in halves if it must be; `rows` are distinct and in the key's order."""
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
    stored = {row.key: _Stored(row.event.body_sha256, workflow_id) for row in rows}
    if old := [key for key in stored if key not in new]:
        found = await connection.fetch(_EVENTS_SQL["stored"], *zip(*old, strict=True))
        stored |= {EventId(*row[:2]): _Stored(*row[2:]) for row in map(tuple, found)}
    # Last, because the rows of the entities stay locked from here to the commit.
    await feature_states.fold(connection, (row.event for row in rows if row.key in new))
    return stored


def _settle(row: ScoredEvent, stored: _Stored, *, ours: bool, into: Written) -> None:
    if row.event.body_sha256 != stored.body_sha256:
        into.conflicts.append(row)
    elif ours:
        into.inserted.append(row)
    else:
        into.duplicates.append(row)


def _reason(refusal: Exception) -> str:
    """Without PostgreSQL's DETAIL, which quotes the row."""
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
    )


def _storable(text: str | None) -> str | None:
    """Text that PostgreSQL can hold: U+0000 as its visible symbol, lone surrogates as `?`."""
    if text is None:
        return None
    return text.replace("\0", "\u2400").encode(errors="replace").decode()
