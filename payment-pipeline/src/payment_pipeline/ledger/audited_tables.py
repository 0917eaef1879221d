"""Which events do bronze and the quarantine hold, streamed from PostgreSQL?"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from payment_pipeline.adapters.sql import queries

from .audit_window import Window
from .audited_lakehouse import LookedUp, Place
from .distinct_events import Lost
from .record_reader import kept_total, money_of
from .stage_tally import IDENTITY_HEX, Seen, day_of
from .stages import TABLES, Reading, Stage

ROWS_A_FETCH: Final = 5_000
BODIES_A_FETCH: Final = 32
"""Dead letters come with their bodies, of up to a megabyte each."""
LOOKUP_EVENTS_MAX: Final = 5_000

SQL: Final = queries("payment_pipeline.ledger", "queries.sql")
_QUARANTINED_RECEIVED: Final = SQL["quarantined_received"].format(stage=SQL["stage"])
_QUARANTINED_BY_IDENTITY: Final = SQL["quarantined_by_identity"].format(stage=SQL["stage"])


async def read(
    pool: asyncpg.Pool, window: Window, reading: Reading, reached: Mapping[Stage, Place]
) -> None:
    """Read the rows of a window anew, both tables at one instant.

    Args:
        pool: on bronze.
        window: of receipts.
        reading: where they are added, those past the lake's watermark also as pending.
        reached: the lake's watermarks, taken before; empty when it isn't audited.
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
    pool: asyncpg.Pool, lost: Sequence[Lost], reading: Reading, reached: Mapping[Stage, Place]
) -> LookedUp:
    """Add what the tables hold of these events after all, outside the window or since it was read.

    What is added is in neither table's tally yet, else it would not be lost.
    """
    found = LookedUp([], [])
    mark, quarantine_mark = _mark(reached, Stage.LAKE), _mark(reached, Stage.LAKE_QUARANTINE)
    for start in range(0, len(lost), LOOKUP_EVENTS_MAX):
        some = lost[start : start + LOOKUP_EVENTS_MAX]
        identities = [each.identity for each in some]
        named = [each for each in some if each.event_id is not None]
        ids, named_identities = [e.event_id for e in named], [e.identity for e in named]
        for row in await pool.fetch(SQL["events_by_identity"], ids, named_identities, *mark):
            _add_event(reading, row)
            found.ids.append(row["event_id"])
        rows = await pool.fetch(
            _QUARANTINED_BY_IDENTITY, identities, IDENTITY_HEX, *quarantine_mark
        )
        for row in rows:
            _add_dead_letter(reading, row)
            found.bodies.append(row["body_sha256"])
    return found


async def topics_whole_from(pool: asyncpg.Pool) -> datetime | None:
    """Since when the topics are whole: an erasure cuts them. `None` if none ever did."""
    at: datetime | None = await pool.fetchval(SQL["topics_whole_from"])
    return at


async def newest(pool: asyncpg.Pool) -> dict[Stage, Place]:
    """The last rows of both tables in the loader's order, by the stage that they go on to."""
    row = await pool.fetchrow(SQL["newest"])
    return {
        stage: Place(int(row[stage.value][0]), row[stage.value][1])
        for stage in (Stage.LAKE, Stage.LAKE_QUARANTINE)
        if row[stage.value]
    }


def _mark(reached: Mapping[Stage, Place], stage: Stage) -> tuple[str | None, int | None]:
    """A watermark as the queries take it: xid8 has no number in Python."""
    if stage not in reached:
        return None, None
    return str(reached[stage].xid), reached[stage].id


def _add_event(reading: Reading, row: asyncpg.Record) -> None:
    money = money_of(row["kind"], row["amount_minor"], row["currency"])
    seen = Seen(row["provider"], row["event_id"], row["body_sha256"], money)
    _add(reading, Stage.BRONZE, Stage.LAKE, seen, row)


def _add_dead_letter(reading: Reading, row: asyncpg.Record) -> None:
    if row["stage"] is None:  # closed for an event that isn't there, which is named as missing
        return
    money = kept_total(row["provider"], row["body"])
    seen = Seen(row["provider"], row["event_id"], row["body_sha256"], money)
    _add(reading, Stage(row["stage"]), Stage.LAKE_QUARANTINE, seen, row)


def _add(reading: Reading, stage: Stage, following: Stage, seen: Seen, row: asyncpg.Record) -> None:
    day = day_of(row["received_at"])
    reading.stages[stage].add(seen, day)
    if row["pending"]:
        reading.pending[following].add(seen, day)
