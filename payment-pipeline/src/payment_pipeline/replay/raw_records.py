"""Which raw records were received in a window? Read from the raw topics, in bounded memory."""

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
"""How far a record's own timestamp may lie behind its receipt: a gateway that waits for its broker
gives up long before."""

Record: TypeAlias = "ConsumerRecord[bytes, bytes]"


class RawTopics:
    """Some raw topics, and what they hold of a window."""

    def __init__(
        self, consumer: AIOKafkaConsumer, starts: Offsets, ends: Offsets, *, complete: bool
    ) -> None:
        self._consumer = consumer
        self._starts = starts
        self._ends = ends
        self.complete = complete
        """False if the topics' retention may have taken a part of the window."""

    def batches(self, records_max: int) -> AsyncIterator[list[Record]]:
        """Every record of the spans: see `kafka.read_up_to`."""
        return kafka.read_up_to(self._consumer, dict(self._starts), self._ends, records_max)


@asynccontextmanager
async def raw_topics(
    settings: Settings, topics: Sequence[str], window: Window
) -> AsyncIterator[RawTopics]:
    """Those of the topics that exist, at the window's start.

    Raises:
        UserError: the broker does not answer, or has none of them.
    """
    async with kafka.reader(settings) as consumer:
        there = await consumer.topics()
        if not (wanted := [topic for topic in topics if topic in there]):
            raise UserError(f"Kafka has no topic {topics[0]}: create it with `payments migrate`.")
        places = await kafka.partitions(settings, wanted)
        # All at once and paused: none is fetched before its turn.
        consumer.assign(places)
        consumer.pause(*places)
        yield await _located(consumer, places, window)


async def unmodelled(settings: Settings, window: Window) -> set[bytes]:
    """The SHA-256 of each body on `payments.unmodelled` that was received in a window, or later.

    Raises:
        UserError: the broker does not answer, or hasn't the topic.
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
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], window: Window
) -> RawTopics:
    first = dict(await consumer.beginning_offsets(places))
    ends = dict(await consumer.end_offsets(places))
    starts = first
    if window.since is not None:
        starts = await kafka.offsets_at(consumer, window.since - CLOCK_SLACK, ends)
    ends = await kafka.offsets_at(consumer, window.until + AFTER_SLACK, ends)
    # Where retention has deleted something and the window begins at what is left, it may have
    # reached into the window too.
    complete = all(not first[place] or starts[place] > first[place] for place in places)
    return RawTopics(consumer, starts, ends, complete=complete)
