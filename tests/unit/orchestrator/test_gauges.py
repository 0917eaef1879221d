"""Is the watch on what Kafka must keep blind when a store doesn't answer?"""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition

from payment_pipeline.adapters.kafka_ranges import RangeStalledError
from payment_pipeline.domain.topics import NORMALIZED
from payment_pipeline.orchestrator import gauges
from payment_pipeline.orchestrator import worker_metrics as metrics
from payment_pipeline.orchestrator.claims import Claim, Ranges
from payment_pipeline.settings import Settings

FIRST = TopicPartition(NORMALIZED, 0)
OTHER = TopicPartition(NORMALIZED, 1)


async def watched(
    monkeypatch: pytest.MonkeyPatch, temporal: list[Ranges | None], stalls: int = 0
) -> list[Ranges]:
    """What each look took to be under way, when Temporal answers so, one after another."""
    answers: Iterator[Ranges | None] = iter(temporal)
    looks: list[Ranges] = []
    seen = asyncio.Event()

    async def ranges_under_way(_: Settings) -> Ranges | None:
        try:
            return next(answers)
        except StopIteration:
            seen.set()
            await asyncio.Event().wait()
            raise

    async def claims(_: Settings, under_way: Ranges) -> list[Claim]:
        looks.append(under_way)
        if len(looks) <= stalls:
            raise RangeStalledError
        return [Claim(NORMALIZED, 0, 1, age_s=30.0, retention_s=100.0, lost=0)]

    monkeypatch.setattr(gauges, "ranges_under_way", ranges_under_way)
    monkeypatch.setattr(gauges, "claims", claims)
    monkeypatch.setattr(gauges, "CLAIMS_S", 0)
    watching = asyncio.create_task(gauges.keep_watching_claims(Settings()))
    stopped = asyncio.create_task(seen.wait())
    await asyncio.wait([watching, stopped], return_when=asyncio.FIRST_COMPLETED)
    assert not watching.done()
    watching.cancel()
    return looks


async def test_while_temporal_is_down_its_last_ranges_are_needed_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = await watched(monkeypatch, [None, {FIRST: 7}, None, {OTHER: 1}])
    assert looks == [{}, {FIRST: 7}, {FIRST: 7}, {OTHER: 1}]
    assert metrics.CLAIM_AGE.labels(NORMALIZED)._value.get() == pytest.approx(0.3)


async def test_a_read_that_stalls_ends_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(await watched(monkeypatch, [{}, {}], stalls=1)) == 2
