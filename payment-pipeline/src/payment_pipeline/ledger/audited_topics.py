"""Reads the topics of the pipeline in bounded memory. Each reading continues after the last one.

The topics are read one at a time, the last stages first. An event of a later stage was in the
earlier one before, so reading a running pipeline never finds events without an origin.
"""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

from payment_pipeline.adapters import kafka
from payment_pipeline.adapters.kafka import Offsets, read_up_to
from payment_pipeline.domain import topics
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from . import record_reader
from .audit_window import Window
from .stage_tally import day_of
from .stages import Reading, Stage

CLOCK_SLACK: Final = timedelta(minutes=1)
"""How far a record's timestamp may lie before its receipt time: two clocks may differ."""

_GROUP_UNKNOWN_YET: Final = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
"""A broker's answers about a group just after its start, and before any group committed."""

Progress: TypeAlias = Callable[[str], None]


class Topics:
    """The topics of the pipeline, and the offsets that the reading has reached."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin
        self._consumer = consumer
        self._partitions: list[TopicPartition] = []
        self._positions: Offsets = {}

    async def discover(self) -> None:
        """Find the topics and their partitions.

        Raises:
            UserError: a topic that every pipeline has does not exist.
        """
        described = await self._admin.describe_topics()
        found = {each["topic"]: each["partitions"] for each in described if not each["error_code"]}
        if missing := [topic for topic in topics.PIPELINE if topic not in found]:
            raise UserError(f"Kafka has no topic {missing[0]}: create it with `payments migrate`.")
        self._partitions = [
            TopicPartition(topic, partition["partition"])
            for topic, partitions in found.items()
            if record_reader.stages_of(topic)
            for partition in partitions
        ]
        # Assigned in one call, because the client takes 0.1 s for each new topic. Paused, so that
        # the records of at most one topic are in memory.
        self._consumer.assign(self._partitions)
        self._consumer.pause(*self._partitions)

    async def begin(self, window: Window, retention: timedelta) -> Window:
        """Seek the start of the window; return the part that the topics still hold."""
        first = await self.starts()
        if any(first.values()):
            window = window.within(retention, datetime.now(UTC))
        self._positions = first
        if window.since is not None:
            since = window.since - CLOCK_SLACK
            self._positions = await kafka.offsets_at(self._consumer, since, await self.ends())
        return window

    async def starts(self) -> Offsets:
        """Return the first offset that each partition still holds."""
        return dict(await self._consumer.beginning_offsets(self._partitions))

    async def ends(self) -> Offsets:
        """Return the end offset of each partition."""
        return dict(await self._consumer.end_offsets(self._partitions))

    async def committed(self, group: str) -> Offsets:
        """Return the committed offsets of a consumer group, without partitions never committed."""
        try:
            found = await self._admin.list_consumer_group_offsets(group)
        except _GROUP_UNKNOWN_YET:
            return {}
        return {partition: held.offset for partition, held in found.items()}

    async def read_on(self, window: Window, reading: Reading, progress: Progress) -> None:
        """Add the records that arrived since the last call.

        Raises:
            UserError: the broker delivers no records although there are more.
        """
        for topic in self._last_stages_first():
            progress(f"reading {topic}")
            # The end is asked for when the topic's turn comes: newer records are not in a later
            # stage that was read before.
            partitions = [each for each in self._partitions if each.topic == topic]
            ends = await self._consumer.end_offsets(partitions)
            await self._read_topic(topic, ends, window, reading)

    async def find(
        self,
        is_wanted: Callable[[ConsumerRecord], bool],
        records_max: int,
        progress: Progress,
        only: Collection[str] = (),
    ) -> AsyncIterator[list[ConsumerRecord]]:
        """Search the newest `records_max` records of each topic, the last stages first."""
        starts = await self.starts()
        for topic in self._last_stages_first():
            if only and topic not in only:
                continue
            progress(f"searching {topic}")
            partitions = [each for each in self._partitions if each.topic == topic]
            ends = dict(await self._consumer.end_offsets(partitions))
            for partition, end in ends.items():
                newest = end - records_max // len(partitions)
                self._positions[partition] = max(starts[partition], newest)
            batches = read_up_to(self._consumer, self._positions, ends)
            yield [r async for batch in batches for r in batch if is_wanted(r)]

    def _last_stages_first(self) -> list[str]:
        order = list(Stage)
        names = {partition.topic for partition in self._partitions}
        return sorted(
            names, key=lambda name: (-order.index(record_reader.stages_of(name)[0]), name)
        )

    async def _read_topic(
        self, topic: str, ends: Offsets, window: Window, reading: Reading
    ) -> None:
        stages = [reading.stages[stage] for stage in record_reader.stages_of(topic)]
        async for batch in read_up_to(self._consumer, self._positions, ends):
            for record in batch:
                seen, received_at = record_reader.read(record)
                if received_at in window:
                    day = day_of(received_at)
                    for tally in stages:
                        tally.add(seen, day)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Topics]:
    """Connect to the topics of the broker.

    Raises:
        UserError: the broker does not answer.
    """
    admin = kafka.admin_client(settings)
    async with kafka.reader(settings) as consumer:
        try:
            await admin.start()
            found = Topics(consumer, admin)
            await found.discover()
            yield found
        finally:
            await admin.close()
