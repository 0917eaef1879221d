"""Which of the records that were sent again have come to `payments.unmodelled`?

No table has what no model covers, so the topic itself is read on, from where it ended before the
first of them was sent.
"""

from aiokafka import AIOKafkaConsumer

from payment_pipeline.adapters import kafka
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.domain.topics import UNMODELLED
from payment_pipeline.settings import Settings

SOURCE = (names.SOURCE_TOPIC, names.SOURCE_PARTITION, names.SOURCE_OFFSET)


class Unmodelled:
    """The topic from a moment on; connects only when it is needed."""

    def __init__(self, settings: Settings) -> None:
        """Close it at the end."""
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None

    async def begin(self) -> None:
        """Remember where the topic ends, the first time."""
        if self._consumer is not None:
            return
        places = await kafka.partitions(self._settings, (UNMODELLED,))
        consumer = kafka.consumer(self._settings, group=None)
        await consumer.start()
        self._consumer = consumer
        consumer.assign(places)
        for place, end in (await consumer.end_offsets(places)).items():
            consumer.seek(place, end)

    async def seen(self) -> set[Coordinates]:
        """The raw records that have come there since the last call."""
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
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()
