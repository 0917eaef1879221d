"""Reads the topics that a redrive needs: the source of a large body, and `payments.unmodelled`."""

from hashlib import sha256
from typing import Final

from aiokafka import AIOKafkaConsumer

from payment_pipeline.adapters import kafka
from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.domain.topics import UNMODELLED
from payment_pipeline.settings import Settings

from .redrive_plan import Letter

EMPTY_SHA256: Final = sha256(b"").hexdigest()
SOURCE: Final = (names.SOURCE_TOPIC, names.SOURCE_PARTITION, names.SOURCE_OFFSET)


class Bodies:
    """Fetches the body of a dead letter that was too large to embed."""

    def __init__(self, ranges: RangeReader) -> None:
        """Use `ranges`, which the caller closes."""
        self._ranges = ranges

    async def of(self, letter: Letter) -> Letter:
        """Return the dead letter with its body, or unchanged if retention deleted the record."""
        if letter.body or letter.body_sha256 == EMPTY_SHA256:
            return letter
        at = letter.source
        try:
            records = await self._ranges.read(at.topic, at.partition, at.offset, at.offset + 1)
        except RangeExpiredError:
            return letter
        return letter._replace(body=records[0].value or b"") if records else letter


class Unmodelled:
    """The records that arrive on `payments.unmodelled` after `begin`. Connects when needed.

    No table has unmodelled events, so the topic itself is read.
    """

    def __init__(self, settings: Settings) -> None:
        """The caller calls `close` at the end."""
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None

    async def begin(self) -> None:
        """Remember the end of the topic, at the first call."""
        if self._consumer is not None:
            return
        partitions = await kafka.partitions(self._settings, (UNMODELLED,))
        consumer = kafka.consumer(self._settings, group=None)
        await consumer.start()
        self._consumer = consumer
        consumer.assign(partitions)
        for partition, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, end)

    async def seen(self) -> set[Coordinates]:
        """Return the raw records that arrived since the last call."""
        if self._consumer is None:
            return set()
        found = await self._consumer.getmany(timeout_ms=0)
        return {
            Coordinates(topic=topic, partition=int(partition), offset=int(offset))
            for records in found.values()
            for topic, partition, offset in (
                [dict(record.headers).get(name, b"0").decode() for name in SOURCE]
                for record in records
            )
        }

    async def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            await self._consumer.stop()
