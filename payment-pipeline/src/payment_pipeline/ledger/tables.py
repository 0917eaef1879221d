"""Which events do bronze and the quarantine hold, streamed from PostgreSQL?"""

from collections.abc import Sequence
from typing import Final

import asyncpg

from payment_pipeline.adapters.sql import queries

from .audit import Lost, Reading, Stage
from .records import kept_total, money_of
from .tally import IDENTITY_HEX, Seen
from .window import Window

ROWS_A_FETCH: Final = 5_000
BODIES_A_FETCH: Final = 32
"""Dead letters come with their bodies, of up to a megabyte each."""
LOOKUP_EVENTS_MAX: Final = 5_000


SQL: Final = queries("payment_pipeline.ledger", "queries.sql")


async def read(pool: asyncpg.Pool, window: Window, reading: Reading) -> None:
    """Read the rows of a window anew, both tables at one instant."""
    bronze, quarantine = reading.renew(Stage.BRONZE), reading.renew(Stage.QUARANTINE)
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        span = window.since, window.until
        rows = connection.cursor(SQL["events_received"], *span, prefetch=ROWS_A_FETCH)
        async for row in rows:
            bronze.add(_event(row))
        rows = connection.cursor(SQL["quarantined_received"], *span, prefetch=BODIES_A_FETCH)
        async for row in rows:
            quarantine.add(_dead_letter(row))


async def look_up(pool: asyncpg.Pool, lost: Sequence[Lost], reading: Reading) -> None:
    """Add what the tables hold of these events after all, outside the window or since it was read.

    What is added is in neither table's tally yet, else it would not be lost.
    """
    for start in range(0, len(lost), LOOKUP_EVENTS_MAX):
        some = lost[start : start + LOOKUP_EVENTS_MAX]
        identities = [each.identity for each in some]
        named = [each for each in some if each.event_id is not None]
        ids, named_identities = [e.event_id for e in named], [e.identity for e in named]
        for row in await pool.fetch(SQL["events_by_identity"], ids, named_identities):
            reading.stages[Stage.BRONZE].add(_event(row))
        rows = await pool.fetch(SQL["quarantined_by_identity"], identities, IDENTITY_HEX)
        for row in rows:
            reading.stages[Stage.QUARANTINE].add(_dead_letter(row))


def _event(row: asyncpg.Record) -> Seen:
    money = money_of(row["kind"], row["amount_minor"], row["currency"])
    return Seen(row["provider"], row["event_id"], row["body_sha256"], money)


def _dead_letter(row: asyncpg.Record) -> Seen:
    money = kept_total(row["provider"], row["body"])
    return Seen(row["provider"], row["event_id"], row["body_sha256"], money)
