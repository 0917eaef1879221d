"""Streams the rows of bronze and the quarantine from PostgreSQL into a reading."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from payment_pipeline.adapters.sql import queries

from .audit_window import Window
from .audited_lakehouse import LoadPosition, LookedUp
from .distinct_events import Lost
from .record_reader import identity_of, kept_total, money_of
from .stage_tally import HASH_HEX, Seen, day_of
from .stages import TABLES, Reading, Stage

ROWS_A_FETCH: Final = 5_000
BODIES_A_FETCH: Final = 32
"""Small, because a dead letter comes with its body of up to a megabyte."""
LOOKUP_EVENTS_MAX: Final = 5_000

SQL: Final = queries("payment_pipeline.ledger", "queries.sql")
_QUARANTINED_RECEIVED: Final = SQL["quarantined_received"].format(stage=SQL["stage"])
_QUARANTINED_BY_HASH: Final = SQL["quarantined_by_hash"].format(stage=SQL["stage"])


async def read(
    pool: asyncpg.Pool, window: Window, reading: Reading, reached: Mapping[Stage, LoadPosition]
) -> None:
    """Read the rows of a window, both tables at the same instant.

    Args:
        pool: connections to bronze.
        window: the receipt times to read.
        reading: takes the rows. Rows past the lake's watermark are added as pending too.
        reached: the lake's watermarks, read before the tables; empty if the lake is not audited.
    """
    for stage in TABLES:
        reading.renew(stage)
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        span = window.since, window.until
        given = (*span, *_mark(reached, Stage.LAKE))
        async for row in connection.cursor(SQL["events_received"], *given, prefetch=ROWS_A_FETCH):
            _add_event(reading, row)
        given = (*span, *_mark(reached, Stage.LAKE_QUARANTINE))
        rows = connection.cursor(_QUARANTINED_RECEIVED, *given, prefetch=BODIES_A_FETCH)
        async for row in rows:
            _add_dead_letter(reading, row)


async def look_up(
    pool: asyncpg.Pool,
    lost: Sequence[Lost],
    reading: Reading,
    reached: Mapping[Stage, LoadPosition],
) -> LookedUp:
    """Search the tables for missing events: rows outside the window, or newer than the reading.

    The rows found are added to the reading. They are not in it yet, or the events would not be
    missing.
    """
    found = LookedUp([], [])
    mark, quarantine_mark = _mark(reached, Stage.LAKE), _mark(reached, Stage.LAKE_QUARANTINE)
    for start in range(0, len(lost), LOOKUP_EVENTS_MAX):
        some = lost[start : start + LOOKUP_EVENTS_MAX]
        hashes = [(each.event_id, value) for each in some for value in each.hashes]
        named = [(event_id, value) for event_id, value in hashes if event_id is not None]
        ids, values = [event_id for event_id, _ in named], [value for _, value in named]
        for row in await pool.fetch(SQL["events_by_hash"], ids, values, *mark):
            _add_event(reading, row)
            found.ids.append(row["event_id"])
        values = [value for _, value in hashes]
        rows = await pool.fetch(_QUARANTINED_BY_HASH, values, HASH_HEX, *quarantine_mark)
        for row in rows:
            _add_dead_letter(reading, row)
            found.bodies.append(row["body_sha256"])
    return found


async def topics_whole_from(pool: asyncpg.Pool) -> datetime | None:
    """Return the time from which the topics are complete: an erasure deletes what came before.

    `None` if no erasure was ever run.
    """
    at: datetime | None = await pool.fetchval(SQL["topics_whole_from"])
    return at


async def newest(pool: asyncpg.Pool) -> dict[Stage, LoadPosition]:
    """Return the last row of both tables in the loader's order, by the stage it is loaded into."""
    row = await pool.fetchrow(SQL["newest"])
    return {
        stage: LoadPosition(int(row[stage.value][0]), row[stage.value][1])
        for stage in (Stage.LAKE, Stage.LAKE_QUARANTINE)
        if row[stage.value]
    }


def _mark(reached: Mapping[Stage, LoadPosition], stage: Stage) -> tuple[str | None, int | None]:
    """Return a watermark as query parameters. An xid8 is passed as text."""
    if stage not in reached:
        return None, None
    return str(reached[stage].xid), reached[stage].id


def _add_event(reading: Reading, row: asyncpg.Record) -> None:
    money = money_of(row["kind"], row["amount_minor"], row["currency"])
    names = row["provider"], row["event_id"], row["body_sha256"]
    _add(reading, Stage.BRONZE, Stage.LAKE, Seen(*names, money, row["identity_sha256"]), row)


def _add_dead_letter(reading: Reading, row: asyncpg.Record) -> None:
    if (
        row["stage"] is None
    ):  # closed, but its event is not in bronze: the audit reports it as missing
        return
    names = row["provider"], row["event_id"], row["body_sha256"]
    money = kept_total(row["provider"], row["body"])
    identity = identity_of(row["provider"], row["body"], row["identity_sha256"])
    seen = Seen(*names, money, identity)
    _add(reading, Stage(row["stage"]), Stage.LAKE_QUARANTINE, seen, row)


def _add(reading: Reading, stage: Stage, following: Stage, seen: Seen, row: asyncpg.Record) -> None:
    day = day_of(row["received_at"])
    reading.stages[stage].add(seen, day)
    if row["pending"]:
        reading.pending[following].add(seen, day)
