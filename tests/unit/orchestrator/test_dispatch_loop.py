"""The dispatcher waits for Temporal, and measures how long a start takes."""

import asyncio
from dataclasses import dataclass

import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from payment_pipeline.adapters import temporal
from payment_pipeline.orchestrator.dispatcher import dispatch_loop
from payment_pipeline.orchestrator.dispatcher import dispatcher_metrics as metrics
from payment_pipeline.orchestrator.dispatcher.dispatch_loop import Dispatcher
from payment_pipeline.orchestrator.dispatcher.partition_cursors import PartitionCursor
from payment_pipeline.settings import Settings
from support.fakes import EmptyTopics

NOBODY_LISTENS = "127.0.0.1:1"


async def test_temporal_may_start_after_the_dispatcher() -> None:
    settings = Settings(temporal_address=NOBODY_LISTENS)
    dispatcher = Dispatcher(settings, await temporal.connect(settings, lazy=True))
    failures = metrics.ERRORS.labels("temporal")
    before = failures._value.get()
    cursors = [PartitionCursor("payments.normalized", 0, 0)]
    rounds = asyncio.create_task(dispatcher._rounds(EmptyTopics(), cursors))
    async with asyncio.timeout(30):
        while failures._value.get() < before + 2 and not rounds.done():
            await asyncio.sleep(0.01)
    assert not rounds.done(), "the dispatcher asks again"
    assert not dispatcher.ready()
    rounds.cancel()


async def test_an_idle_dispatcher_asks_temporal_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each round takes a tenth of a second on this test's clock."""
    asked_at: list[float] = []
    clock = CountedRounds(rounds_max=35)

    async def check_health() -> bool:
        asked_at.append(clock.now_s())
        return True

    settings = Settings(temporal_address=NOBODY_LISTENS)
    client = await temporal.connect(settings, lazy=True)
    monkeypatch.setattr(client.service_client, "check_health", check_health)
    monkeypatch.setattr(dispatch_loop, "monotonic", clock.now_s)
    monkeypatch.setattr(dispatch_loop, "POLL_S", 0.0)
    dispatcher = Dispatcher(settings, client)
    await dispatcher._rounds(clock, [PartitionCursor("payments.normalized", 0, 0)])
    assert asked_at == pytest.approx([0.1, 1.1, 2.1, 3.1])
    assert dispatcher.ready()


@dataclass
class CountedRounds(EmptyTopics):
    """A Kafka consumer that ends the rounds: after `rounds_max`, the topic has a new partition."""

    rounds_max: int
    rounds: int = 0

    def now_s(self) -> float:
        return self.rounds / 10

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.rounds += 1
        return await super().end_offsets(partitions)

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0} if self.rounds < self.rounds_max else {0, 1}


async def test_a_start_is_timed_from_the_request_to_the_acknowledgement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def start_range(*_: object) -> None:
        await asyncio.sleep(0.1)

    monkeypatch.setattr(dispatch_loop, "start_range", start_range)
    settings = Settings(temporal_address=NOBODY_LISTENS)
    cursor = PartitionCursor("payments.normalized", 0, 0, end=7, waiting_since_s=0.0)
    assert cursor.close(1_000, 0.0, 1.0)
    count, total_s = timed()
    ours = Dispatcher(settings, await temporal.connect(settings, lazy=True))
    await ours._start(EmptyTopics(), cursor)
    assert cursor.position == 7
    assert timed()[0] == count + 1
    assert 0.09 <= timed()[1] - total_s < 5


def timed() -> list[float]:
    """The count and the total duration in seconds of the starts that were timed."""
    name = "payments_dispatcher_start_duration_seconds"
    return [REGISTRY.get_sample_value(f"{name}_{part}") or 0.0 for part in ("count", "sum")]
