"""The dispatcher's position in each partition, and the rules that close the next range.

The rules are pure: the caller passes the end of the log and the time. Only offsets matter, so no
record is fetched. If the log has a gap, a range contains fewer events, which is harmless.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from payment_pipeline.adapters import kafka
from payment_pipeline.orchestrator.messages import OffsetRange
from payment_pipeline.settings import Settings

log = structlog.get_logger()


@dataclass
class PartitionCursor:
    """The dispatcher's position in one partition: all offsets below `position` are dispatched."""

    topic: str
    partition: int
    position: int
    end: int = 0
    """The offset that the next record of the log will get."""
    waiting_since_s: float | None = None
    """When the first record that is not dispatched was seen."""
    closed: OffsetRange | None = None
    """The range that is closed but not acknowledged by Temporal. It is started again unchanged, so
    that its workflow id stays the same."""
    open_ranges: int = 0
    """Ranges of this partition that still run. New records wait until these ranges are done or the
    records fill a range: the busier the worker, the larger the ranges and the fewer the
    workflows."""

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
        """Note the current end of the log."""
        self.end = max(self.end, end)
        if self.lag and self.waiting_since_s is None:
            self.waiting_since_s = now_s

    def close(self, events_max: int, wait_s: float, now_s: float) -> OffsetRange | None:
        """Return the next range if it is full or has waited for `wait_s`."""
        if self.closed is None and self.waiting_since_s is not None:
            waited = now_s - self.waiting_since_s >= wait_s
            if waited or self.lag >= events_max:
                end = min(self.end, self.position + events_max)
                self.closed = OffsetRange(self.topic, self.partition, self.position, end)
        return self.closed

    def acknowledge(self, now_s: float) -> None:
        """Move past the closed range: Temporal has acknowledged its start."""
        if self.closed is not None:
            self.position = self.closed.end
            self.closed = None
            self.waiting_since_s = now_s if self.lag else None


def due(
    cursors: Iterable[PartitionCursor],
    ranges_max: int,
    events_max: int,
    wait_s: float,
    now_s: float,
) -> list[PartitionCursor]:
    """Choose the cursors to start a range from now.

    Args:
        cursors: the cursors of all partitions.
        ranges_max: how many ranges may be started.
        events_max: the number of offsets in a full range.
        wait_s: how long a range that is not full waits for more records.
        now_s: the time, on the clock of `waiting_since_s`.

    Returns:
        At most `ranges_max` cursors, with the longest wait first. Each has a closed range.
    """
    waiting = [
        cursor
        for cursor in cursors
        if cursor.waiting_since_s is not None
        and (not cursor.open_ranges or cursor.lag >= events_max)
    ]
    waiting.sort(key=lambda cursor: cursor.waiting_since_s or 0.0)
    found: list[PartitionCursor] = []
    for cursor in waiting:
        # A range is closed only when it can start: until then it may still grow.
        if len(found) < ranges_max and cursor.close(events_max, wait_s, now_s):
            found.append(cursor)
    return found


async def assigned_cursors(
    settings: Settings, consumer: AIOKafkaConsumer, topics: Sequence[str]
) -> list[PartitionCursor]:
    """Assign all partitions of the topics to the consumer; return a cursor for each.

    The consumer is assigned the partitions so that it can commit their offsets. They are paused, so
    that it fetches nothing. A cursor starts at its group's committed offset.

    Raises:
        UnknownTopicOrPartitionError: a topic does not exist; the message names the command that
            creates it.
        KafkaError: the broker does not answer.
    """
    partitions = await kafka.partitions(settings, topics)
    consumer.assign(partitions)
    consumer.pause(*partitions)
    starts = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    return [
        PartitionCursor(
            each.topic,
            each.partition,
            _position(each, await consumer.committed(each), starts[each], ends[each]),
        )
        for each in partitions
    ]


def has_new_partitions(consumer: AIOKafkaConsumer, known: Sequence[PartitionCursor]) -> bool:
    """True if a topic has more partitions than the known cursors."""
    found = {cursor.topic: consumer.partitions_for_topic(cursor.topic) or () for cursor in known}
    return sum(map(len, found.values())) > len(known)


def _position(partition: TopicPartition, committed: int | None, start: int, end: int) -> int:
    if committed is None or committed > end:  # a new group, or a log that was wiped
        return start
    if committed < start:
        log.error(
            "records_lost_to_retention",
            topic=partition.topic,
            partition=partition.partition,
            records=start - committed,
        )
    return max(committed, start)
