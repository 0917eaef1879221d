"""What is kept of an erasure itself? When, how much, which topics were cut; never who.

And who stays out meanwhile: another erasure, and whoever writes what they read before.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
from aiokafka import TopicPartition

from payment_pipeline.adapters import postgres
from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze import refold
from payment_pipeline.dlq import dead_letter_clients

from .erased_topics import Cut

LOCK_KEY = 0x657261736572
"""The advisory lock's number: the ASCII of "eraser"."""

SQL = queries(__package__, "queries.sql")


def alone(pool: asyncpg.Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Be the only erasure, on the connection that this yields.

    Raises:
        UserError: another one is under way.
    """
    refusal = "Another erasure is under way: call again when it has ended."
    return postgres.exclusive(pool, LOCK_KEY, refusal)


@asynccontextmanager
async def no_rewriting(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Keep replays and redrives out: one would write the person back, after the proof, from before.

    Taken after `alone`, and in this order; nobody waits for a lock, so nobody waits for another.

    Raises:
        UserError: one is at work.
    """
    refusal = "A {} is at work, which could write the person back: call again when it has ended."
    async with (
        postgres.exclusive(pool, refold.LOCK_KEY, refusal.format("replay")),
        postgres.exclusive(pool, dead_letter_clients.LOCK_KEY, refusal.format("redrive")),
    ):
        yield


async def begin(connection: asyncpg.Connection, provider: str, found: dict[str, int]) -> int:
    """Note that one begins; return its number."""
    number: int = await connection.fetchval(SQL["begin"], provider, found)
    return number


async def cut(connection: asyncpg.Connection, number: int, planned: Cut) -> None:
    """Note what is about to be cut; the ledger reads the topics from behind it."""
    places = [_place(place, offset) for place, offset in sorted(planned.before.items())]
    await connection.execute(SQL["cut"], number, planned.whole_from, places)


async def finish(connection: asyncpg.Connection, number: int, remaining: dict[str, int]) -> None:
    """Note the proof; an erasure that left something is not finished."""
    await connection.execute(SQL["finish"], number, remaining, not any(remaining.values()))


def _place(place: TopicPartition, offset: int) -> dict[str, str | int]:
    return {"topic": place.topic, "partition": place.partition, "before_offset": offset}
