"""Kafka records: made without a broker, and read from every topic of a stack."""

from collections.abc import AsyncIterator

from aiokafka import ConsumerRecord

from payment_pipeline.adapters import kafka
from payment_pipeline.settings import Settings

WRITTEN_AT_MS = 1_700_000_000_000


def record(
    topic: str,
    value: bytes | None,
    headers: tuple[tuple[str, bytes], ...] = (),
    *,
    key: bytes | None = b"pi_1",
    partition: int = 2,
    offset: int = 7,
) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=WRITTEN_AT_MS,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=headers,
    )


async def every_record(settings: Settings) -> AsyncIterator[ConsumerRecord]:
    """Each record of each topic, up to the ends that the topics have at the call."""
    async with kafka.reader(settings) as consumer:
        topics = [topic for topic in await consumer.topics() if not topic.startswith("__")]
        partitions = await kafka.partitions(settings, topics)
        consumer.assign(partitions)
        consumer.pause(*partitions)
        starts = dict(await consumer.beginning_offsets(partitions))
        ends = dict(await consumer.end_offsets(partitions))
        async for records in kafka.read_up_to(consumer, starts, ends):
            for record in records:
                yield record
