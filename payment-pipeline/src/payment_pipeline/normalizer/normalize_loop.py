"""The normalizer's loop: consume, step, produce, commit, count.

The loop commits a batch only when Kafka has acknowledged every message of it. After a crash some
records are processed twice and none is lost: bronze's key and the dead letters' coordinates make
the second time harmless. While Kafka acknowledges one batch, the loop normalizes the next batch,
then waits until the first one is committed.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic, perf_counter, time_ns
from typing import Final, TypeAlias

import structlog
from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
)
from aiokafka.errors import KafkaError

from payment_pipeline.adapters.kafka import raw_event
from payment_pipeline.domain import topics
from payment_pipeline.providers import Context, Provider, providers

from . import counts_and_spans
from . import normalizer_metrics as metrics
from .batch_publisher import Publisher, Work, work_of
from .step import step

GROUP: Final = "normalizer"
POLL_MS: Final = 500
LAG_EVERY_S: Final = 1.0
STOP_PATIENCE_S: Final = 5.0
"""How long a stop waits for the batch that is being produced. A batch that is cut off is processed
again after the restart."""
TURN_RECORDS: Final = 50
"""Records normalized between two turns of the event loop, about 1.5 ms. In its turns the event loop
sends the previous batch and the heartbeats."""

Polled: TypeAlias = Mapping[TopicPartition, Sequence[ConsumerRecord]]
"""The records of one poll."""

log = structlog.get_logger()


class Normalizer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member of the consumer group.

    A rebalance needs no action. When a partition is revoked, its batch is still produced, its
    commit is skipped or refused, and the partition's next owner processes the batch again.
    """

    def __init__(
        self,
        source: AIOKafkaConsumer,
        sink: AIOKafkaProducer,
        context: Context,
        batch_records_max: int,
    ) -> None:
        """The caller starts and stops `source` and `sink`."""
        self._source = source
        self._publisher = Publisher(sink, context)
        self._context = context
        self._batch_records_max = batch_records_max
        self._provider_by_topic = _provider_by_topic()
        self._joined = False
        self._lag_due_at_s = 0.0

    def ready(self) -> bool:
        """True if this process has joined the group and Kafka acknowledges its messages."""
        return self._joined and self._publisher.acknowledged

    async def run(self) -> None:
        """Normalize until cancelled; a cancellation waits for the batch that is being produced.

        Raises:
            KafkaError: Kafka has acknowledged nothing for `batch_publisher.PRODUCE_PATIENCE_S`.
        """
        self._source.subscribe(topics=list(self._provider_by_topic), listener=self)
        delivery: asyncio.Task[None] | None = None
        try:
            while True:
                polled = await self._source.getmany(
                    timeout_ms=POLL_MS, max_records=self._batch_records_max
                )
                began_ns = time_ns()
                works = await self._normalize(polled)
                if delivery is not None:
                    await asyncio.shield(delivery)
                delivery = (
                    asyncio.create_task(self._deliver(works, polled, began_ns)) if works else None
                )
                if monotonic() >= self._lag_due_at_s:
                    self._lag_due_at_s = monotonic() + LAG_EVERY_S
                    await self._measure_lag()
        finally:
            if delivery is not None:
                with suppress(TimeoutError, KafkaError):
                    await asyncio.wait_for(delivery, STOP_PATIENCE_S)

    async def _normalize(self, polled: Polled) -> list[Work]:
        """Take the step for every record; let the event loop work in between."""
        now = datetime.now(UTC)
        works: list[Work] = []
        for records in polled.values():
            for start in range(0, len(records), TURN_RECORDS):
                turn = records[start : start + TURN_RECORDS]
                works += [self._step(record, now) for record in turn]
                await asyncio.sleep(0)
        return works

    def _step(self, record: ConsumerRecord[bytes, bytes], now: datetime) -> Work:
        raw = raw_event(record)
        provider = self._provider_by_topic[record.topic]
        return work_of(record, raw, step(raw, record.headers, provider, self._context, now))

    async def _deliver(self, works: Sequence[Work], polled: Polled, began_ns: int) -> None:
        """Produce, wait for every acknowledgement, then commit, then count."""
        started_s = perf_counter()
        await self._publisher.publish(works)
        await self._commit(
            {partition: records[-1].offset + 1 for partition, records in polled.items()}
        )
        counts_and_spans.count(works)
        counts_and_spans.trace(works, began_ns)
        metrics.DURATION_S.observe(perf_counter() - started_s)

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        assigned = self._source.assignment()
        kept = {partition: offset for partition, offset in offsets.items() if partition in assigned}
        try:
            if kept:
                await self._source.commit(kept)
        except KafkaError as error:  # a rebalance or a broker that is down: the batch is repeated
            log.warning("commit_failed", error=type(error).__name__)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Do nothing: see the docstring of this class."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note that this process has joined the group, even if no partition is left for it."""
        self._joined = True
        log.info("assigned", partitions=len(list(assigned)))

    async def _measure_lag(self) -> None:
        lag: Tally[str] = Tally()
        with suppress(KafkaError):  # a partition may be revoked meanwhile
            for partition in self._source.assignment():
                end = self._source.highwater(partition)
                if end is not None:  # the end is unknown before the partition's first fetch
                    lag[partition.topic] += end - await self._source.position(partition)
            metrics.LAG.clear()  # also removes topics that are another member's now
            for topic, records in lag.items():
                metrics.LAG.labels(topic).set(records)


def _provider_by_topic() -> dict[str, Provider]:
    return {
        topics.raw(provider.name, resource): provider
        for provider in providers().values()
        for resource in provider.resources
    }
