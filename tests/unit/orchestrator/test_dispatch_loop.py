"""The dispatcher waits for Temporal, and measures how long a start takes."""

import asyncio

import pytest
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
