"""Does the dispatcher wait for a Temporal that comes up after it?"""

import asyncio
from typing import cast

from aiokafka import AIOKafkaConsumer, TopicPartition

from payment_pipeline.adapters import temporal
from payment_pipeline.orchestrator import dispatcher_metrics as metrics
from payment_pipeline.orchestrator.dispatcher import Dispatcher
from payment_pipeline.orchestrator.lanes import Lane
from payment_pipeline.settings import Settings

NOBODY_LISTENS = "127.0.0.1:1"


class EmptyTopics:
    """As much of a consumer as a round takes, of topics without a record."""

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}


async def test_temporal_may_come_up_later() -> None:
    settings = Settings(temporal_address=NOBODY_LISTENS)
    dispatcher = Dispatcher(settings, await temporal.connect(settings, lazy=True))
    failures = metrics.ERRORS.labels("temporal")
    before = failures._value.get()
    lanes = [Lane("payments.normalized", 0, 0)]
    rounds = asyncio.create_task(dispatcher._rounds(cast("AIOKafkaConsumer", EmptyTopics()), lanes))
    async with asyncio.timeout(30):
        while failures._value.get() < before + 2 and not rounds.done():
            await asyncio.sleep(0.01)
    assert not rounds.done(), "it asks again"
    assert not dispatcher.ready()
    rounds.cancel()
