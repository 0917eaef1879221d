"""Sends a batch of messages to Kafka and returns when Kafka has acknowledged all of them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from payment_pipeline.adapters.kafka import partition_of
from payment_pipeline.domain.failures import BadRecord, FailureClass
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.providers import Context
from payment_pipeline.telemetry import of_event

from . import normalizer_metrics as metrics
from .step import Message, Step, without_body

RETRY_PAUSE_S: Final = 0.1
RETRY_PAUSE_S_MAX: Final = 5.0
PRODUCE_PATIENCE_S: Final = 120.0
"""The process gives up after this time without an acknowledgement. Its restart makes a new
producer, in case the old one cannot work again (an idempotent producer that lost its sequence)."""

log = structlog.get_logger()


class Work(NamedTuple):
    """One record, the message that it became, and what will be counted.

    The event itself is left out. The events of a batch are megabytes, and the processor would have
    to load them from memory again while it normalizes the next batch.
    """

    record: ConsumerRecord[bytes, bytes]
    raw: RawEvent
    message: Message
    kind: str
    """The event's kind; empty if the outcome is not an event."""
    failure: FailureClass | None
    """The failure class, if the outcome is a dead letter."""


def work_of(record: ConsumerRecord[bytes, bytes], raw: RawEvent, result: Step) -> Work:
    """Combine a record with the result of its step."""
    outcome, message = result
    failure = outcome.failure if type(outcome) is BadRecord else None
    return Work(record, raw, message, getattr(outcome, "kind", ""), failure)


class _Batch(NamedTuple):
    """Messages for one partition."""

    topic: str
    partition: int
    builder: BatchBuilder
    works: list[Work]


class Publisher:
    """Sends messages again until Kafka has acknowledged them."""

    def __init__(self, sink: AIOKafkaProducer, context: Context) -> None:
        """The caller starts and stops `sink`."""
        self._sink = sink
        self._context = context
        self._partitions_by_topic: dict[str, int] = {}
        self.acknowledged = True
        """True if Kafka acknowledged everything at the last attempt."""

    async def publish(self, works: Sequence[Work]) -> None:
        """Return when Kafka has acknowledged every message.

        Raises:
            KafkaError: Kafka has not acknowledged all of them within `PRODUCE_PATIENCE_S`.
        """
        pause_s, give_up_at_s = RETRY_PAUSE_S, monotonic() + PRODUCE_PATIENCE_S
        while True:
            works, error = await self._send(works)
            self.acknowledged = error is None
            if error is None:
                return
            metrics.PRODUCE_ERRORS.inc(len(works))
            log.warning("produce_failed", records=len(works), error=type(error).__name__)
            if monotonic() > give_up_at_s:
                raise error
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_PAUSE_S_MAX)

    async def _send(self, works: Sequence[Work]) -> tuple[list[Work], KafkaError | None]:
        """Send once; return what Kafka did not acknowledge, and the first error."""
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
            except KafkaError as error:  # each further batch would wait as long for the same error
                first_error = error
                break
        failed = [work for batch in batches[len(acknowledgements) :] for work in batch.works]
        for batch, acknowledgement in zip(batches, acknowledgements, strict=False):
            try:
                await acknowledgement
            except MessageSizeTooLargeError as error:  # only a batch of one record is so large
                failed += map(self._shortened, batch.works)
                first_error = first_error or error
            except KafkaError as error:
                failed += batch.works
                first_error = first_error or error
        return failed, first_error

    async def _batches(self, works: Sequence[Work]) -> list[_Batch]:
        """Group the messages into batches of one partition, as Kafka stores them.

        The producer's own `send` costs twice as much: it makes a coroutine, a future and a murmur2
        hash in Python for every record.
        """
        batches: list[_Batch] = []
        open_: dict[tuple[str, int], _Batch] = {}
        for work in works:
            topic, value, headers = work.message
            key = work.record.key
            partitions = self._partitions_by_topic.get(topic) or await self._partitions(topic)
            partition = partition_of(key or b"", partitions)
            batch = open_.get((topic, partition))
            how = {"timestamp": None, "key": key, "value": value, "headers": list(headers)}
            if batch is None or batch.builder.append(**how) is None:
                batch = _Batch(topic, partition, self._sink.create_batch(), [])
                batch.builder.append(**how)  # an empty batch accepts a record of any size
                open_[topic, partition] = batch
                batches.append(batch)
            batch.works.append(work)
        return batches

    async def _partitions(self, topic: str) -> int:
        self._partitions_by_topic[topic] = found = len(await self._sink.partitions_for(topic))
        return found

    def _shortened(self, large: Work) -> Work:
        """Replace a message that is too large for Kafka, so that it does not stop its partition.

        The dead letter names the record; the body stays on the raw topic.
        """
        at = large.raw.coordinates
        where = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
        log.error("message_too_large", **of_event(large.raw), **where)
        result = without_body(large.raw, large.record.headers, self._context, datetime.now(UTC))
        return work_of(large.record, large.raw, result)
