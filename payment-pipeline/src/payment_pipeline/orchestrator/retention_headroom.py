"""Retention headroom: how long Kafka still keeps the records that a stage has not processed.

A workflow holds only the offsets of its range. If retention deletes the records first, the workflow
can never finish. Two kinds of records are still needed in each partition: those that the consumer
group has not committed, and those that a range under way may read again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from aiokafka import TopicPartition
from temporalio.service import RPCError

from payment_pipeline.adapters import kafka, temporal, topic_configs
from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.ranges import range_of
from payment_pipeline.ledger.audited_topics import Topics, connected
from payment_pipeline.ledger.settling import group_of
from payment_pipeline.settings import Settings

SHARE_MAX: Final = 0.5
"""Share of the retention time that a needed record may have used up. A check fails above it, so
that half of the time is left to act."""
RECORDS_LOOKED_AT_MAX: Final = 20
"""Offsets to read to find one record and its time; the log may have gaps."""
OPEN: Final = "ExecutionStatus = 'Running' AND WorkflowType IN ('IngestRange', 'QuarantineRange')"


class Headroom(NamedTuple):
    """The oldest record of a partition that is still needed, and the time that is left for it."""

    topic: str
    partition: int
    offset: int
    age_s: float
    """Time since the record was written; 0 if the record is gone."""
    retention_s: float
    """The topic's retention; infinite if the topic deletes nothing."""
    lost: int
    """Needed offsets that the log no longer has."""

    @property
    def share(self) -> float:
        """The share of the retention that has passed; at 1 Kafka may delete the record."""
        return self.age_s / self.retention_s

    @property
    def ok(self) -> bool:
        """True if nothing is lost and enough time is left."""
        return not self.lost and self.share <= SHARE_MAX


Ranges = Mapping[TopicPartition, int]
"""The lowest offset of all ranges under way, by partition."""


async def headrooms(settings: Settings, under_way: Ranges) -> list[Headroom]:
    """Return the headroom of each partition that has needed records, with the most urgent first.

    Args:
        settings: where Kafka is.
        under_way: the ranges whose records may be read again.

    Raises:
        UserError: the broker does not answer.
    """
    reader = RangeReader(settings, readers_max=1)
    try:
        async with connected(settings) as topics:
            starts, ends = await topics.starts(), await topics.ends()
            needed = await _needed(topics, starts, under_way)
            retention_s = await _retention_s(settings, {partition.topic for partition in needed})
            found = []
            for partition, offset in needed.items():
                held_from = max(offset, starts[partition])
                if offset >= ends[partition]:
                    continue
                age_s = await _age_s(reader, partition, held_from, ends[partition])
                lost = held_from - offset
                keeps_s = retention_s[partition.topic]
                found.append(
                    Headroom(partition.topic, partition.partition, offset, age_s, keeps_s, lost)
                )
    finally:
        await reader.close()
    return sorted(found, key=lambda each: (each.lost, each.share), reverse=True)


async def ranges_under_way(settings: Settings) -> Ranges | None:
    """Return the ranges that run in Temporal; `None` if Temporal does not answer."""
    found: dict[TopicPartition, int] = {}
    try:
        client = await temporal.connect(settings)
        async for execution in client.list_workflows(OPEN):
            if known := range_of(execution.id):
                partition = TopicPartition(known.topic, known.partition)
                found[partition] = min(known.start, found.get(partition, known.start))
    except (UserError, RPCError):
        return None
    return found


async def _needed(
    topics: Topics,
    starts: Mapping[TopicPartition, int],
    under_way: Ranges,
) -> dict[TopicPartition, int]:
    """Return the first offset of each partition that a stage may still read."""
    groups = {group for partition in starts if (group := group_of(partition.topic))}
    committed = {group: await topics.committed(group) for group in groups}
    needed = {}
    for partition, start in starts.items():
        if (group := group_of(partition.topic)) is not None:
            position = committed[group].get(partition, start)
            needed[partition] = min(position, under_way.get(partition, position))
    return needed


async def _age_s(reader: RangeReader, partition: TopicPartition, offset: int, end: int) -> float:
    """Return the age of the first record at or after an offset; the log may have a gap there."""
    try:
        records = await reader.read(
            partition.topic, partition.partition, offset, min(end, offset + RECORDS_LOOKED_AT_MAX)
        )
    except RangeExpiredError:  # deleted meanwhile: the next check counts the record as lost
        return 0.0
    if not records:
        return 0.0
    written_s = float(records[0].timestamp) / 1000
    return max(0.0, datetime.now(UTC).timestamp() - written_s)


async def _retention_s(settings: Settings, names: set[str]) -> dict[str, float]:
    admin = kafka.admin_client(settings)
    try:
        await admin.start()
        held = await topic_configs.read(admin, names)
    finally:
        await admin.close()
    default = kafka.configs(settings)[topic_configs.RETENTION_MS]
    of_each = {name: int(held[name].get(topic_configs.RETENTION_MS, default)) for name in names}
    return {
        name: float("inf") if each == topic_configs.WITHOUT_END else each / 1000
        for name, each in of_each.items()
    }
