"""Reads the raw records of a window from the raw topics, in bounded memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from payment_pipeline.adapters import kafka
from payment_pipeline.adapters.kafka import Offsets
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.topics import UNMODELLED
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.audited_topics import CLOCK_SLACK
from payment_pipeline.settings import Settings

AFTER_SLACK: Final = timedelta(minutes=10)
"""How far a record's timestamp may lie after its receipt. A gateway that waits for its broker gives
up long before."""

Record: TypeAlias = "ConsumerRecord[bytes, bytes]"


class RawTopics:
    """The records of a window on some raw topics."""

    def __init__(
        self, consumer: AIOKafkaConsumer, starts: Offsets, ends: Offsets, *, complete: bool
    ) -> None:
        self._consumer = consumer
        self._starts = starts
        self._ends = ends
        self.complete = complete
        """False if retention may have deleted a part of the window."""

    def batches(self, records_max: int) -> AsyncIterator[list[Record]]:
        """Yield every record of the window in batches: see `kafka.read_up_to`."""
        return kafka.read_up_to(self._consumer, dict(self._starts), self._ends, records_max)


@asynccontextmanager
async def raw_topics(
    settings: Settings, topics: Sequence[str], window: Window
) -> AsyncIterator[RawTopics]:
    """Open the topics that exist, at the start of the window.

    Raises:
        UserError: the broker does not answer, or has none of the topics.
    """
    async with kafka.reader(settings) as consumer:
        there = await consumer.topics()
        if not (wanted := [topic for topic in topics if topic in there]):
            raise UserError(f"Kafka has no topic {topics[0]}: create it with `payments migrate`.")
        partitions = await kafka.partitions(settings, wanted)
        # Paused: no topic is fetched before its turn.
        consumer.assign(partitions)
        consumer.pause(*partitions)
        yield await _located(consumer, partitions, window)


async def unmodelled(settings: Settings, window: Window) -> set[bytes]:
    """Return the SHA-256 of each body on `payments.unmodelled` received in the window or later.

    Raises:
        UserError: the broker does not answer, or lacks the topic.
    """
    async with raw_topics(
        settings, (UNMODELLED,), window._replace(until=datetime.now(UTC))
    ) as copies:
        return {
            sha256(record.value or b"").digest()
            async for records in copies.batches(kafka.POLL_RECORDS_MAX)
            for record in records
        }


async def _located(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], window: Window
) -> RawTopics:
    first = dict(await consumer.beginning_offsets(partitions))
    ends = dict(await consumer.end_offsets(partitions))
    starts = first
    if window.since is not None:
        starts = await kafka.offsets_at(consumer, window.since - CLOCK_SLACK, ends)
    ends = await kafka.offsets_at(consumer, window.until + AFTER_SLACK, ends)
    # If retention has deleted records, and the window begins at the first record that is left,
    # records of the window may be deleted too.
    complete = all(not first[each] or starts[each] > first[each] for each in partitions)
    return RawTopics(consumer, starts, ends, complete=complete)
