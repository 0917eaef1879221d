"""Which clients does the dead-letter desk work with, and who else is at it?"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.adapters.kafka_ranges import RangeReader
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .large_bodies import Bodies
from .redrive import Stores
from .unmodelled_arrivals import Unmodelled

APPLICATION: Final = "payments-dlq"
"""As `pg_stat_activity` shows it."""
LOCK_KEY: Final = 0x7061792D646C71
"""The advisory lock's number: the ASCII of "pay-dlq"."""


@asynccontextmanager
async def quarantine(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool on the quarantine.

    Raises:
        UserError: PostgreSQL does not answer, or its schema is older than this code.
    """
    pool = await postgres.pool(settings, application=APPLICATION)
    try:
        yield pool
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        raise UserError("Bronze's schema is of before: `payments migrate`.") from None
    finally:
        await pool.close()


def alone(pool: asyncpg.Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Be the only redrive. Two would do no harm, bronze sees to that, but all the work twice.

    Nor is anybody erased meanwhile: what was read of them before would be sent after the proof.

    Raises:
        UserError: somebody else is at it.
    """
    refusal = "Another redrive is under way, or an erasure: wait for its end, then look again."
    return postgres.exclusive(pool, LOCK_KEY, refusal)


@asynccontextmanager
async def redrive_stores(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Stores]:
    """What a redrive reads and writes.

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
        raise UserError(f"{away} What was sent is found again by the same command.", 1) from None
    finally:
        await unmodelled.close()
        await ranges.close()
        await producer.stop()
