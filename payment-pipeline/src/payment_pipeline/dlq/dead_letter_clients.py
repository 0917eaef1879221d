"""The connections that the dead-letter commands use, and the lock of a redrive."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.adapters.kafka_ranges import RangeReader
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .redrive import Stores
from .redrive_topics import Bodies, Unmodelled

APPLICATION: Final = "payments-dlq"
"""The application name that `pg_stat_activity` shows."""
LOCK_KEY: Final = 0x7061792D646C71
"""The number of the advisory lock: the ASCII codes of "pay-dlq"."""


@asynccontextmanager
async def quarantine(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Open a pool of connections to the quarantine.

    Raises:
        UserError: PostgreSQL does not answer, or its schema is older than this code.
    """
    pool = await postgres.pool(settings, application=APPLICATION)
    try:
        yield pool
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        raise UserError(
            "The database schema is older than this code. Run `payments migrate`."
        ) from None
    finally:
        await pool.close()


def alone(pool: asyncpg.Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Hold the lock of the only redrive.

    Two redrives would do no harm, because bronze keeps each event once, but they would do the work
    twice. An erasure takes the lock too: a redrive could send events of the person after the
    erasure was proved.

    Raises:
        UserError: another redrive or an erasure holds the lock.
    """
    refusal = "Another redrive is at work, or an erasure. Wait until it ends, then try again."
    return postgres.exclusive(pool, LOCK_KEY, refusal)


@asynccontextmanager
async def redrive_stores(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Stores]:
    """Open what a redrive reads and writes.

    Raises:
        UserError: the broker does not answer.
    """
    ranges, producer = RangeReader(settings, readers_max=1), kafka.producer(settings)
    unmodelled = Unmodelled(settings)
    try:
        await producer.start()
        yield Stores(pool, Bodies(ranges), producer, unmodelled)
    except KafkaError as refusal:
        away = kafka.unreachable(settings, refusal)
        raise UserError(
            f"{away} Run the same command again: it finds the events that were already sent.", 1
        ) from None
    finally:
        await unmodelled.close()
        await ranges.close()
        await producer.stop()
