"""How do raw records flow through the step without one being lost or one holding up the others?

Read a batch, normalize, produce, wait for every acknowledgement, and only then commit. A crash
anywhere repeats work and loses none: bronze's key and the dead letters' coordinates absorb repeats.
While Kafka acknowledges one batch the next is normalized, and waits there for the commit before it.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic, perf_counter, time_ns
from typing import Final, NamedTuple, TypeAlias

import structlog
from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
)
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from payment_pipeline.adapters.kafka import partition_of, raw_event
from payment_pipeline.domain import topics
from payment_pipeline.providers import Context, Provider, providers
from payment_pipeline.telemetry import of_event

from . import metrics, observed
from .observed import Work
from .step import step, without_body

GROUP: Final = "normalizer"
POLL_MS: Final = 500
RETRY_PAUSE_S: Final = 0.1
RETRY_PAUSE_S_MAX: Final = 5.0
PRODUCE_PATIENCE_S: Final = 120.0
"""How long produce may fail before the process gives up: a restart brings a fresh producer, should
this one be past mending (an idempotent producer that lost its sequence is)."""
LAG_EVERY_S: Final = 1.0
STOP_PATIENCE_S: Final = 5.0
"""What a stop waits for the batch under way; a batch that is cut off is done again."""
TURN_RECORDS: Final = 50
"""How many records are normalized between two turns of the event loop, which has the batch before
to send and heartbeats to keep: about 1.5 ms."""

Batches: TypeAlias = Mapping[TopicPartition, Sequence[ConsumerRecord]]
"""What one poll of the consumer brings."""

log = structlog.get_logger()


class Batch(NamedTuple):
    """Messages for one partition."""

    topic: str
    partition: int
    builder: BatchBuilder
    works: list[Work]


class Normalizer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member of the group; `run` until cancelled.

    Nothing needs doing when partitions leave: what is in flight is produced, its commit is refused,
    and the next owner does it again.
    """

    def __init__(
        self,
        source: AIOKafkaConsumer,
        sink: AIOKafkaProducer,
        context: Context,
        batch_records_max: int,
    ) -> None:
        """Both clients are started and stopped by their owner."""
        self._source = source
        self._sink = sink
        self._context = context
        self._batch_records_max = batch_records_max
        self._by_topic = _providers_by_topic()
        self._partitions_by_topic: dict[str, int] = {}
        self._joined = False
        self._acknowledged = True
        self._lag_due_at = 0.0

    def ready(self) -> bool:
        """Whether it is a member of the group, and Kafka takes what it produces."""
        return self._joined and self._acknowledged

    async def run(self) -> None:
        """Normalize for ever; a stop lets the batch under way end.

        Raises:
            KafkaError: produce has failed for `PRODUCE_PATIENCE_S`.
        """
        self._source.subscribe(topics=list(self._by_topic), listener=self)
        under_way: asyncio.Task[None] | None = None
        try:
            while True:
                found = await self._source.getmany(
                    timeout_ms=POLL_MS, max_records=self._batch_records_max
                )
                began_ns = time_ns()
                works = await self._normalize(found)
                if under_way is not None:
                    await asyncio.shield(under_way)
                under_way = (
                    asyncio.create_task(self._pass_on(works, found, began_ns)) if works else None
                )
                if monotonic() >= self._lag_due_at:
                    self._lag_due_at = monotonic() + LAG_EVERY_S
                    await self._measure_lag()
        finally:
            if under_way is not None:
                with suppress(TimeoutError, KafkaError):
                    await asyncio.wait_for(under_way, STOP_PATIENCE_S)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Answer aiokafka; see the class."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Ready from here on, even where there is no partition left for this one."""
        self._joined = True
        log.info("assigned", partitions=len(list(assigned)))

    async def _normalize(self, found: Batches) -> list[Work]:
        """Step over a batch; meanwhile Kafka acknowledges the one before, by turns with it."""
        now = datetime.now(UTC)
        works: list[Work] = []
        for records in found.values():
            for start in range(0, len(records), TURN_RECORDS):
                turn = records[start : start + TURN_RECORDS]
                works += [self._work(record, now) for record in turn]
                await asyncio.sleep(0)
        return works

    def _work(self, record: ConsumerRecord[bytes, bytes], now: datetime) -> Work:
        raw = raw_event(record)
        outcome = step(raw, self._by_topic[record.topic], self._context, now)
        return observed.work(record, raw, outcome)

    async def _pass_on(self, works: Sequence[Work], found: Batches, began_ns: int) -> None:
        """Produce, wait for every acknowledgement, commit: in this order, whatever happens."""
        started = perf_counter()
        await self._produce(works)
        await self._commit({place: records[-1].offset + 1 for place, records in found.items()})
        observed.count(works)
        observed.trace(works, began_ns)
        metrics.DURATION_S.observe(perf_counter() - started)

    async def _produce(self, works: Sequence[Work]) -> None:
        """Return when Kafka has every message, however often that takes."""
        pause_s, give_up_at = RETRY_PAUSE_S, monotonic() + PRODUCE_PATIENCE_S
        while True:
            works, error = await self._send(works)
            self._acknowledged = error is None
            if error is None:
                return
            metrics.PRODUCE_ERRORS.inc(len(works))
            log.warning("produce_failed", records=len(works), error=type(error).__name__)
            if monotonic() > give_up_at:
                raise error
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_PAUSE_S_MAX)

    async def _send(self, works: Sequence[Work]) -> tuple[list[Work], KafkaError | None]:
        """Send once; return what isn't acknowledged, and the first error."""
        batches = await self._batches(works)
        acknowledgements: list[asyncio.Future[object]] = []
        first_error: KafkaError | None = None
        for batch in batches:
            try:
                acknowledgements.append(
                    await self._sink.send_batch(
                        batch.builder, batch.topic, partition=batch.partition
                    )
                )
            except KafkaError as error:  # the rest would only wait as long, one by one
                first_error = error
                break
        failed = [work for batch in batches[len(acknowledgements) :] for work in batch.works]
        for batch, acknowledged in zip(batches, acknowledgements, strict=False):
            try:
                await acknowledged
            except MessageSizeTooLargeError as error:  # a batch so large is of one record
                failed += map(self._shortened, batch.works)
                first_error = first_error or error
            except KafkaError as error:
                failed += batch.works
                first_error = first_error or error
        return failed, first_error

    async def _batches(self, works: Sequence[Work]) -> list[Batch]:
        """The messages as Kafka stores them: a batch a partition, more where one gets full.

        `send` would do it too, at twice the cost: a coroutine, a future and a murmur2 in Python for
        every record.
        """
        batches: list[Batch] = []
        open_: dict[tuple[str, int], Batch] = {}
        for work in works:
            topic, value, headers = work.message
            key = work.record.key
            partitions = self._partitions_by_topic.get(topic) or await self._partitions(topic)
            partition = partition_of(key or b"", partitions)
            batch = open_.get((topic, partition))
            how = {"timestamp": None, "key": key, "value": value, "headers": list(headers)}
            if batch is None or batch.builder.append(**how) is None:
                batch = Batch(topic, partition, self._sink.create_batch(), [])
                batch.builder.append(**how)  # an empty one takes a record of any size
                open_[topic, partition] = batch
                batches.append(batch)
            batch.works.append(work)
        return batches

    async def _partitions(self, topic: str) -> int:
        self._partitions_by_topic[topic] = found = len(await self._sink.partitions_for(topic))
        return found

    def _shortened(self, work: Work) -> Work:
        """No record may stall its partition: what Kafka won't hold is named, and left at source."""
        at = work.raw.coordinates
        where = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
        log.error("message_too_large", **of_event(work.raw), **where)
        letter = without_body(work.raw, self._context, datetime.now(UTC))
        return observed.work(work.record, work.raw, letter)

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        mine = self._source.assignment()
        kept = {place: offset for place, offset in offsets.items() if place in mine}
        try:
            if kept:
                await self._source.commit(kept)
        except KafkaError as error:  # partitions left meanwhile, or the broker did: done again
            log.warning("commit_failed", error=type(error).__name__)

    async def _measure_lag(self) -> None:
        lag: Tally[str] = Tally()
        with suppress(KafkaError):  # a partition may leave meanwhile
            for place in self._source.assignment():
                end = self._source.highwater(place)
                if end is not None:  # nothing is known before its first fetch
                    lag[place.topic] += end - await self._source.position(place)
            metrics.LAG.clear()  # of what was another member's before or is now
            for topic, records in lag.items():
                metrics.LAG.labels(topic).set(records)


def _providers_by_topic() -> dict[str, Provider]:
    return {
        topics.raw(provider.name, resource): provider
        for provider in providers().values()
        for resource in provider.resources
    }
