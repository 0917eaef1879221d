"""Records each erasure, without the person, and holds the locks that an erasure needs.

The record says when, how much, and which topics were cut. The locks keep out another erasure, and
replays and redrives, which would write back what they read before.
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
"""The number of the advisory lock: the ASCII codes of "eraser"."""

SQL = queries(__package__, "queries.sql")


def alone(pool: asyncpg.Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Hold the lock of the only erasure, on the connection that this yields.

    Raises:
        UserError: another erasure holds the lock.
    """
    refusal = "Another erasure is at work. Wait until it ends, then try again."
    return postgres.exclusive(pool, LOCK_KEY, refusal)


@asynccontextmanager
async def no_rewriting(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Keep replays and redrives out: they could write the person back after the proof.

    These locks are taken after `alone`, always in this order. Nobody waits for a lock, so there is
    no deadlock.

    Raises:
        UserError: a replay or a redrive is at work.
    """
    refusal = "A {} is at work and could write the person back. Wait until it ends, then try again."
    async with (
        postgres.exclusive(pool, refold.LOCK_KEY, refusal.format("replay")),
        postgres.exclusive(pool, dead_letter_clients.LOCK_KEY, refusal.format("redrive")),
    ):
        yield


async def begin(connection: asyncpg.Connection, provider: str, found: dict[str, int]) -> int:
    """Record the start of an erasure; return its number."""
    number: int = await connection.fetchval(SQL["begin"], provider, found)
    return number


async def cut(connection: asyncpg.Connection, number: int, planned: Cut) -> None:
    """Record which records are about to be deleted: audits read the topics from there on."""
    cuts = [_cut(partition, offset) for partition, offset in sorted(planned.before.items())]
    await connection.execute(SQL["cut"], number, planned.whole_from, cuts)


async def finish(connection: asyncpg.Connection, number: int, remaining: dict[str, int]) -> None:
    """Record the proof. An erasure that left something is not finished."""
    await connection.execute(SQL["finish"], number, remaining, not any(remaining.values()))


def _cut(partition: TopicPartition, offset: int) -> dict[str, str | int]:
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        "before_offset": offset,
    }
