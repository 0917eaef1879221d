"""How old is what Kafka must still keep, and for how long will it?

A range of offsets is a claim check on the log: once retention has taken its records, the workflow
that holds it can't be helped. Needed is, of each partition, what its group has not committed, and
what a range that is still under way may read again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from temporalio.service import RPCError

from payment_pipeline.adapters import kafka, temporal, topic_configs
from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.ranges import range_of
from payment_pipeline.ledger.settling import group_of
from payment_pipeline.ledger.topics import Topics, connected
from payment_pipeline.settings import Settings

SHARE_MAX: Final = 0.5
"""Of its retention. A claim that has used up more is to be looked after: half is left to do so."""
RECORDS_LOOKED_AT_MAX: Final = 20
"""For one to ask for its time."""
OPEN: Final = "ExecutionStatus = 'Running' AND WorkflowType IN ('IngestRange', 'QuarantineRange')"


class Headroom(NamedTuple):
    """The oldest record of a partition that is still needed."""

    topic: str
    partition: int
    offset: int
    age_s: float
    """Since its record was written; 0 if it is gone."""
    retention_s: float
    """Of the topic; infinite where it deletes nothing."""
    lost: int
    """How many offsets that are needed the log holds no more."""

    @property
    def share(self) -> float:
        """How much of its retention has passed; 1 or more: it may go any time."""
        return self.age_s / self.retention_s

    @property
    def ok(self) -> bool:
        """Nothing lost, and time enough."""
        return not self.lost and self.share <= SHARE_MAX


Ranges = Mapping[TopicPartition, int]
"""Where the oldest range under way begins, by partition."""


async def headrooms(settings: Settings, under_way: Ranges) -> list[Headroom]:
    """One claim for each partition of which anything is needed, the most urgent first.

    Args:
        settings: whose Kafka is asked.
        under_way: what may be read again, beside what is not dispatched.

    Raises:
        UserError: the broker does not answer.
    """
    reader = RangeReader(settings, readers_max=1)
    try:
        async with connected(settings) as topics:
            starts, ends = await topics.starts(), await topics.ends()
            needed = await _needed(topics, starts, under_way)
            retention_s = await _retention_s(settings, {place.topic for place in needed})
            found = []
            for place, offset in needed.items():
                held_from = max(offset, starts[place])
                if offset >= ends[place]:
                    continue
                age_s = await _age_s(reader, place, held_from, ends[place])
                lost = held_from - offset
                keeps_s = retention_s[place.topic]
                found.append(Headroom(place.topic, place.partition, offset, age_s, keeps_s, lost))
    finally:
        await reader.close()
    return sorted(found, key=lambda each: (each.lost, each.share), reverse=True)


async def ranges_under_way(settings: Settings) -> Ranges | None:
    """Those that Temporal knows of; None if it does not answer."""
    found: dict[TopicPartition, int] = {}
    try:
        client = await temporal.connect(settings)
        async for execution in client.list_workflows(OPEN):
            if known := range_of(execution.id):
                place = TopicPartition(known.topic, known.partition)
                found[place] = min(known.start, found.get(place, known.start))
    except (UserError, RPCError):
        return None
    return found


async def _needed(
    topics: Topics,
    starts: Mapping[TopicPartition, int],
    under_way: Ranges,
) -> dict[TopicPartition, int]:
    """The first offset of each partition that somebody may still read."""
    groups = {group for place in starts if (group := group_of(place.topic))}
    committed = {group: await topics.committed(group) for group in groups}
    needed = {}
    for place, start in starts.items():
        if (group := group_of(place.topic)) is not None:
            position = committed[group].get(place, start)
            needed[place] = min(position, under_way.get(place, position))
    return needed


async def _age_s(reader: RangeReader, place: TopicPartition, offset: int, end: int) -> float:
    """Of the first record from an offset on; a gap may stand before it."""
    try:
        records = await reader.read(
            place.topic, place.partition, offset, min(end, offset + RECORDS_LOOKED_AT_MAX)
        )
    except RangeExpiredError:  # meanwhile: the next look counts it as lost
        return 0.0
    if not records:
        return 0.0
    written_s = float(records[0].timestamp) / 1000
    return max(0.0, datetime.now(UTC).timestamp() - written_s)


async def _retention_s(settings: Settings, names: set[str]) -> dict[str, float]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
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
