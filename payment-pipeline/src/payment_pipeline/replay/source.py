"""Which raw records were received in a window? Read from the raw topics, in bounded memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from payment_pipeline.adapters import kafka
from payment_pipeline.domain.failures import UserError
from payment_pipeline.ledger.window import Window
from payment_pipeline.settings import Settings

POLL_MS: Final = 200
STALL_S: Final = 30.0
"""A topic that brings nothing for so long, though it holds more, is a fault of the broker's."""
BEFORE_SLACK: Final = timedelta(minutes=1)
"""How far a record's own timestamp may lie before its receipt: two clocks, or one that was set."""
AFTER_SLACK: Final = timedelta(minutes=10)
"""How far it may lie behind: a gateway that waits for its broker gives up long before."""

Record: TypeAlias = "ConsumerRecord[bytes, bytes]"
Spans: TypeAlias = dict[TopicPartition, tuple[int, int]]
"""From which offset on, and up to but not including which."""


class RawTopics:
    """Some raw topics, and what they hold of a window."""

    def __init__(self, consumer: AIOKafkaConsumer, spans: Spans, *, complete: bool) -> None:
        self._consumer = consumer
        self._spans = spans
        self.complete = complete
        """False if the topics' retention may have taken a part of the window."""

    async def batches(self, records_max: int) -> AsyncIterator[list[Record]]:
        """Every record of the spans, those of a partition in order.

        Raises:
            UserError: the broker brings nothing, though there is more.
        """
        left = {place for place, (start, end) in self._spans.items() if start < end}
        for place in left:
            self._consumer.seek(place, self._spans[place][0])
        if left:
            self._consumer.resume(*left)
        moved_at = monotonic()
        while left:
            got = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=records_max)
            for place, records in got.items():
                yield [record for record in records if record.offset < self._spans[place][1]]
            moved_at = monotonic() if got else moved_at
            for place in tuple(left):
                if await self._consumer.position(place) >= self._spans[place][1]:
                    self._consumer.pause(place)
                    left.remove(place)
            if monotonic() - moved_at > STALL_S:
                raise UserError(f"Kafka brings nothing of {next(iter(left)).topic}: is it well?", 1)


@asynccontextmanager
async def raw_topics(
    settings: Settings, topics: Sequence[str], window: Window
) -> AsyncIterator[RawTopics]:
    """Those of the topics that exist, at the window's start.

    Raises:
        UserError: the broker does not answer, or has none of them.
    """
    consumer = kafka.consumer(settings, group=None)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await consumer.start()
        await admin.start()
        places = [
            TopicPartition(described["topic"], partition["partition"])
            for described in await admin.describe_topics()
            if described["topic"] in topics
            for partition in described["partitions"]
        ]
        if not places:
            raise UserError(f"Kafka has no topic {topics[0]}: create it with `payments migrate`.")
        # All at once and paused: none is fetched before its turn.
        consumer.assign(places)
        consumer.pause(*places)
        yield await _located(consumer, places, window)
    except KafkaError as refusal:
        raise UserError(
            f"Kafka does not answer at {settings.kafka} ({type(refusal).__name__}): "
            "start it with `payments up`, or set PAYMENTS_KAFKA_BOOTSTRAP_SERVERS."
        ) from None
    finally:
        await admin.close()
        await consumer.stop()


async def _located(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], window: Window
) -> RawTopics:
    first, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    starts, stops = dict(first), dict(ends)
    if window.since is not None:
        starts = await _offsets_at(consumer, window.since - BEFORE_SLACK, ends)
    stops = await _offsets_at(consumer, window.until + AFTER_SLACK, ends)
    # Where retention has deleted something and the window begins at what is left, it may have
    # reached into the window too.
    complete = all(not first[place] or starts[place] > first[place] for place in places)
    return RawTopics(
        consumer, {place: (starts[place], stops[place]) for place in places}, complete=complete
    )


async def _offsets_at(
    consumer: AIOKafkaConsumer, moment: datetime, ends: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Of each partition the first record from a moment on; its end where there is none."""
    at_ms = max(0, int(moment.timestamp() * 1000))
    found = await consumer.offsets_for_times(dict.fromkeys(ends, at_ms))
    return {place: found[place].offset if found[place] else end for place, end in ends.items()}
