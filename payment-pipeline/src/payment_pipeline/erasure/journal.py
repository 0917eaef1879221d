"""What is kept of an erasure itself? When, how much, which topics were cut; never who."""

from contextlib import AbstractAsyncContextManager

import asyncpg
from aiokafka import TopicPartition

from payment_pipeline.adapters import postgres
from payment_pipeline.adapters.sql import queries

from .topics import Cut

LOCK_KEY = 0x657261736572
"""The advisory lock's number: the ASCII of "eraser"."""

SQL = queries(__package__, "queries.sql")


def alone(pool: asyncpg.Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Be the only erasure, on the connection that this yields.

    Raises:
        UserError: another one is under way.
    """
    refusal = "Another erasure is under way: call again when it has ended."
    return postgres.alone(pool, LOCK_KEY, refusal)


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
