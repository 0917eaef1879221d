"""Reads a range of records from Kafka, given its offsets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from payment_pipeline.adapters import kafka_security
from payment_pipeline.adapters.kafka import FETCH_BYTES_MAX, STALL_S
from payment_pipeline.settings import Settings

FETCH_WAIT_MS: Final = 20
"""The records of a range exist already, so a fetch need not wait for new ones."""


class RangeExpiredError(Exception):
    """The topic no longer has the start of the range; a retry cannot help."""


class RangeStalledError(Exception):
    """The broker returned no records of a range that it should have; try again."""


class RangeReader:
    """Reads ranges with a few consumers that stay connected between the ranges."""

    def __init__(self, settings: Settings, readers_max: int = 4) -> None:
        """At most `readers_max` ranges are read at a time; further ranges wait."""
        self._settings = settings
        self._turn = asyncio.Semaphore(readers_max)
        self._idle: list[AIOKafkaConsumer] = []

    async def close(self) -> None:
        """Disconnect. No read may be in progress."""
        while self._idle:
            await self._idle.pop().stop()

    async def read(
        self, topic: str, partition: int, start: int, end: int
    ) -> list[ConsumerRecord[bytes, bytes]]:
        """Return the records at offsets from `start` up to, but not including, `end`, in order.

        A log may have gaps, so there may be fewer than `end - start` records.

        Raises:
            RangeExpiredError: retention has deleted the start of the range.
            RangeStalledError: no record arrived for `STALL_S`.
            KafkaError: the broker does not answer.
        """
        wanted = TopicPartition(topic, partition)
        async with self._turn, self._consumer() as source:
            source.assign([wanted])
            source.seek(wanted, start)
            try:
                return await _read(source, wanted, start, end)
            except OffsetOutOfRangeError as error:
                raise RangeExpiredError(f"{topic}/{partition}/{start}-{end}") from error
            finally:
                source.pause(wanted)  # otherwise the consumer fetches past the range

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        if self._idle:
            source = self._idle.pop()
        else:
            source = AIOKafkaConsumer(
                **kafka_security.options(self._settings),
                enable_auto_commit=False,
                auto_offset_reset="none",
                fetch_max_wait_ms=FETCH_WAIT_MS,
                max_partition_fetch_bytes=FETCH_BYTES_MAX,
            )
            await source.start()
        try:
            yield source
        except RangeExpiredError:
            self._idle.append(source)
            raise
        except BaseException:
            # A stalled consumer would stall the next range, too. After other errors its state is
            # unknown.
            await source.stop()
            raise
        self._idle.append(source)


async def _read(
    source: AIOKafkaConsumer, wanted: TopicPartition, start: int, end: int
) -> list[ConsumerRecord[bytes, bytes]]:
    found: list[ConsumerRecord[bytes, bytes]] = []
    position, moved_at = start, monotonic()
    while position < end:
        batch = await source.getmany(
            wanted, timeout_ms=FETCH_WAIT_MS * 5, max_records=end - position
        )
        # A gap lets `max_records` reach past the end.
        found.extend(record for record in batch.get(wanted, ()) if record.offset < end)
        reached = await source.position(wanted)
        if reached > position:
            position, moved_at = reached, monotonic()
        elif monotonic() - moved_at > STALL_S:
            raise RangeStalledError(
                f"{wanted.topic}/{wanted.partition} stays at {position}, before {end}"
            )
    return found
