"""When does a partition's next range close, and where does it end?

Pure: the caller says where the log ends and what time it is. Only offsets matter, so no record is
fetched; a gap in the log makes a range count fewer events, which is harmless.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from payment_pipeline.adapters import kafka
from payment_pipeline.orchestrator.messages import OffsetRange
from payment_pipeline.settings import Settings


@dataclass
class PartitionCursor:
    """One partition on its way to bronze: everything below `position` was handed to Temporal."""

    topic: str
    partition: int
    position: int
    end: int = 0
    """The offset that the next record of the log will have."""
    waiting_since_s: float | None = None
    """When the first record that is not dispatched was seen."""
    closed: OffsetRange | None = None
    """Closed and not acknowledged yet: tried again as it is, so that its id stays the same."""
    under_way: int = 0
    """How many of its ranges are. What comes meanwhile waits until it is a full one or they are
    done: the busier the worker, the larger the ranges, and the fewer workflows bear their cost."""

    def __post_init__(self) -> None:
        self.end = max(self.end, self.position)

    @property
    def coordinates(self) -> TopicPartition:
        """The partition, as Kafka's client names it."""
        return TopicPartition(self.topic, self.partition)

    @property
    def lag(self) -> int:
        """Offsets that are not dispatched yet."""
        return self.end - self.position

    def see(self, end: int, now_s: float) -> None:
        """Note where the log ends now."""
        self.end = max(self.end, end)
        if self.lag and self.waiting_since_s is None:
            self.waiting_since_s = now_s

    def close(self, events_max: int, wait_s: float, now_s: float) -> OffsetRange | None:
        """The next range, if it is full or has waited long enough."""
        if self.closed is None and self.waiting_since_s is not None:
            waited = now_s - self.waiting_since_s >= wait_s
            if waited or self.lag >= events_max:
                end = min(self.end, self.position + events_max)
                self.closed = OffsetRange(self.topic, self.partition, self.position, end)
        return self.closed

    def acknowledge(self, now_s: float) -> None:
        """Temporal has the closed range: go on behind it."""
        if self.closed is not None:
            self.position = self.closed.end
            self.closed = None
            self.waiting_since_s = now_s if self.lag else None


def due(
    cursors: Iterable[PartitionCursor], places: int, events_max: int, wait_s: float, now_s: float
) -> list[PartitionCursor]:
    """Whose range is to be started now: cursors that have waited longest, at most `places`."""
    waiting = [
        cursor
        for cursor in cursors
        if cursor.waiting_since_s is not None and (not cursor.under_way or cursor.lag >= events_max)
    ]
    waiting.sort(key=lambda cursor: cursor.waiting_since_s or 0.0)
    found: list[PartitionCursor] = []
    for cursor in waiting:
        # Asked only where there is a place: a range that can't start yet may still grow.
        if len(found) < places and cursor.close(events_max, wait_s, now_s):
            found.append(cursor)
    return found


log = structlog.get_logger()


async def assigned_cursors(
    settings: Settings, consumer: AIOKafkaConsumer, topics: Sequence[str]
) -> list[PartitionCursor]:
    """One cursor a partition, from the committed offset on.

    The consumer has them assigned, so that it can commit, and paused, so that it fetches nothing.

    Raises:
        UnknownTopicOrPartitionError: a topic isn't there yet; the message says what makes it.
        KafkaError: the broker doesn't answer.
    """
    places = await kafka.partitions(settings, topics)
    consumer.assign(places)
    consumer.pause(*places)
    first, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    return [
        PartitionCursor(
            place.topic,
            place.partition,
            _position(place, await consumer.committed(place), first[place], ends[place]),
        )
        for place in places
    ]


def has_new_partitions(consumer: AIOKafkaConsumer, known: Sequence[PartitionCursor]) -> bool:
    """Whether a topic has got more partitions since."""
    found = {cursor.topic: consumer.partitions_for_topic(cursor.topic) or () for cursor in known}
    return sum(map(len, found.values())) > len(known)


def _position(place: TopicPartition, committed: int | None, first: int, end: int) -> int:
    if committed is None or committed > end:  # a new group, or a new log
        return first
    if committed < first:
        log.error(
            "records_lost_to_retention",
            topic=place.topic,
            partition=place.partition,
            records=first - committed,
        )
    return max(committed, first)
