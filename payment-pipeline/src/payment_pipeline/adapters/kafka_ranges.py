"""How is a range of a partition's offsets read, by whom was only told where it lies?"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from payment_pipeline.adapters.kafka import FETCH_BYTES_MAX, STALL_S
from payment_pipeline.settings import Settings

FETCH_WAIT_MS: Final = 20
"""A range's records are there already, so a fetch that would wait is only in the next one's way."""


class RangeExpiredError(Exception):
    """The topic doesn't hold the range (any more): no retry can bring it back."""


class RangeStalledError(Exception):
    """The broker brings nothing of a range that it should hold: try again."""


class RangeReader:
    """Reads ranges of offsets over a few consumers that stay connected between the ranges."""

    def __init__(self, settings: Settings, readers_max: int = 4) -> None:
        """At most `readers_max` ranges are read at a time; a further one waits for its turn."""
        self._settings = settings
        self._turn = asyncio.Semaphore(readers_max)
        self._idle: list[AIOKafkaConsumer] = []

    async def close(self) -> None:
        """Disconnect; no read may be under way."""
        while self._idle:
            await self._idle.pop().stop()

    async def read(
        self, topic: str, partition: int, start: int, end: int
    ) -> list[ConsumerRecord[bytes, bytes]]:
        """The records at offsets from `start` up to, but not including, `end`, in order.

        There may be fewer than `end - start`: a log has gaps.

        Raises:
            RangeExpiredError: the topic's retention has taken the start of the range.
            RangeStalledError: nothing came for `STALL_S`.
            KafkaError: the broker can't be reached.
        """
        place = TopicPartition(topic, partition)
        async with self._turn, self._consumer() as source:
            source.assign([place])
            source.seek(place, start)
            try:
                return await _read(source, place, start, end)
            except OffsetOutOfRangeError as error:
                raise RangeExpiredError(f"{topic}/{partition}/{start}-{end}") from error
            finally:
                source.pause(place)  # or it would fetch on, past the range

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        if self._idle:
            source = self._idle.pop()
        else:
            source = AIOKafkaConsumer(
                bootstrap_servers=self._settings.kafka,
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
            # One that stalled would stall the next range too; what else went wrong is not known.
            await source.stop()
            raise
        self._idle.append(source)


async def _read(
    source: AIOKafkaConsumer, place: TopicPartition, start: int, end: int
) -> list[ConsumerRecord[bytes, bytes]]:
    found: list[ConsumerRecord[bytes, bytes]] = []
    position, moved_at = start, monotonic()
    while position < end:
        batch = await source.getmany(
            place, timeout_ms=FETCH_WAIT_MS * 5, max_records=end - position
        )
        # A gap lets `max_records` reach past the end.
        found.extend(record for record in batch.get(place, ()) if record.offset < end)
        reached = await source.position(place)
        if reached > position:
            position, moved_at = reached, monotonic()
        elif monotonic() - moved_at > STALL_S:
            raise RangeStalledError(f"{place.topic}/{place.partition} stands at {position} < {end}")
    return found
