"""What lies on the topics now, read on from where the last look ended, within bounded memory?

Topics are read one at a time, those at the end of the data's way first: what is in a later stage
was in the earlier one before, so a pipeline that is at work is never seen to have made things up.
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
"""How far a record's own timestamp may lie before its receipt: two clocks, or one that was set."""

_NOBODY_KNOWS_YET: Final = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
"""What a broker answers about a group just after its start, and while no group ever committed."""

Progress: TypeAlias = Callable[[str], None]


class Topics:
    """The pipeline's topics, and how far they have been read."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin
        self._consumer = consumer
        self._partitions: list[TopicPartition] = []
        self._positions: Offsets = {}

    async def discover(self) -> None:
        """Learn which topics and partitions there are.

        Raises:
            UserError: one that every pipeline has isn't there.
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
        # All at once, or the client would learn of the topics one by one, at 0.1 s each; and none
        # is fetched before its turn, so that one topic's records at most are in memory.
        self._consumer.assign(self._partitions)
        self._consumer.pause(*self._partitions)

    async def begin(self, window: Window, retention: timedelta) -> Window:
        """Go to the window's start; return the window as far as the topics still hold it."""
        first = await self.starts()
        if any(first.values()):
            window = window.within(retention, datetime.now(UTC))
        self._positions = first
        if window.since is not None:
            since = window.since - CLOCK_SLACK
            self._positions = await kafka.offsets_at(self._consumer, since, await self.ends())
        return window

    async def starts(self) -> Offsets:
        """The first offset that each partition still holds."""
        return dict(await self._consumer.beginning_offsets(self._partitions))

    async def ends(self) -> Offsets:
        """Where each partition ends now."""
        return dict(await self._consumer.end_offsets(self._partitions))

    async def committed(self, group: str) -> Offsets:
        """How far a consumer group has come; a partition that it never committed is left out."""
        try:
            found = await self._admin.list_consumer_group_offsets(group)
        except _NOBODY_KNOWS_YET:
            return {}
        return {place: held.offset for place, held in found.items()}

    async def read_on(self, window: Window, reading: Reading, progress: Progress) -> None:
        """Add what has come since the last call.

        Raises:
            UserError: the broker brings nothing, though there is more.
        """
        for topic in self._last_stages_first():
            progress(f"reading {topic}")
            # Asked for topic by topic: what comes meanwhile is in no later stage that was read.
            places = [place for place in self._partitions if place.topic == topic]
            ends = await self._consumer.end_offsets(places)
            await self._read_topic(topic, ends, window, reading)

    async def find(
        self,
        is_wanted: Callable[[ConsumerRecord], bool],
        records_max: int,
        progress: Progress,
        only: Collection[str] = (),
    ) -> AsyncIterator[list[ConsumerRecord]]:
        """What is wanted among the newest `records_max` of each topic, the last stages first."""
        starts = await self.starts()
        for topic in self._last_stages_first():
            if only and topic not in only:
                continue
            progress(f"searching {topic}")
            places = [place for place in self._partitions if place.topic == topic]
            ends = dict(await self._consumer.end_offsets(places))
            for place, end in ends.items():
                self._positions[place] = max(starts[place], end - records_max // len(places))
            batches = read_up_to(self._consumer, self._positions, ends)
            yield [r async for batch in batches for r in batch if is_wanted(r)]

    def _last_stages_first(self) -> list[str]:
        order = list(Stage)
        names = {place.topic for place in self._partitions}
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
    """The topics of a broker.

    Raises:
        UserError: it does not answer.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    async with kafka.reader(settings) as consumer:
        try:
            await admin.start()
            found = Topics(consumer, admin)
            await found.discover()
            yield found
        finally:
            await admin.close()
