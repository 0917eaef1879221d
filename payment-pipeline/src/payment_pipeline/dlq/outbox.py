"""Is what was sent on Kafka? Yes, when this returns."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from payment_pipeline.adapters.kafka import partition_of
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.raw import Coordinates

from .plan import Ready

ACKNOWLEDGED_S_MAX: Final = 30.0


class Outbox:
    """Sends a page of letters, and waits for every acknowledgement."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        """`producer` is started and stopped by its owner."""
        self._producer = producer

    async def send(self, ready: Sequence[Ready]) -> list[Coordinates]:
        """Where each lies now, in their order.

        Raises:
            UserError: the broker did not acknowledge in time; they may be there all the same, and
                the same call again finds them.
        """
        try:
            async with asyncio.timeout(ACKNOWLEDGED_S_MAX):
                # One after the other into the producer's buffer, so that their order stays.
                acknowledged = [await self._put(one) for one in ready]
                records = await asyncio.gather(*acknowledged)
        except TimeoutError:
            raise UserError(
                f"Kafka did not acknowledge within {ACKNOWLEDGED_S_MAX:.0f} s: `payments status`, "
                "then the same command again; what was sent is not sent twice into bronze.",
                1,
            ) from None
        return [
            Coordinates(topic=record.topic, partition=record.partition, offset=record.offset)
            for record in records
        ]

    async def _put(self, one: Ready) -> "asyncio.Future[Any]":
        partitions = len(await self._producer.partitions_for(one.topic))
        future: asyncio.Future[Any] = await self._producer.send(
            one.topic,
            one.body,
            key=one.key,
            partition=partition_of(one.key, partitions),
            headers=list(one.headers),
        )
        return future
