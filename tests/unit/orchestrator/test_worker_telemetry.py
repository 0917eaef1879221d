"""The retention headroom is sampled without Temporal too, and each event has its spans."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from time import time_ns

import pytest
from aiokafka import TopicPartition

from payment_pipeline.adapters.kafka_ranges import RangeStalledError
from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.bronze.writer import Refused, Written
from payment_pipeline.domain.failures import BadRecord, FailureClass
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.domain.topics import NORMALIZED
from payment_pipeline.orchestrator.retention_headroom import Headroom, Ranges
from payment_pipeline.orchestrator.worker import worker_telemetry
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import traces
from payment_pipeline.telemetry.silent_tracer import Attributes, Tracer
from support.normalized_events import charge

FIRST = TopicPartition(NORMALIZED, 0)
OTHER = TopicPartition(NORMALIZED, 1)


async def watched(
    monkeypatch: pytest.MonkeyPatch, temporal: list[Ranges | None], stalls: int = 0
) -> list[Ranges]:
    """Return the ranges that each sample used, when Temporal gives these answers in turn."""
    answers: Iterator[Ranges | None] = iter(temporal)
    samples: list[Ranges] = []
    seen = asyncio.Event()

    async def ranges_under_way(_: Settings) -> Ranges | None:
        try:
            return next(answers)
        except StopIteration:
            seen.set()
            await asyncio.Event().wait()
            raise

    async def headrooms(_: Settings, under_way: Ranges) -> list[Headroom]:
        samples.append(under_way)
        if len(samples) <= stalls:
            raise RangeStalledError
        return [Headroom(NORMALIZED, 0, 1, age_s=30.0, retention_s=100.0, lost=0)]

    monkeypatch.setattr(worker_telemetry, "ranges_under_way", ranges_under_way)
    monkeypatch.setattr(worker_telemetry, "headrooms", headrooms)
    monkeypatch.setattr(worker_telemetry, "RETENTION_SAMPLE_S", 0)
    watching = asyncio.create_task(worker_telemetry.keep_watching_retention(Settings()))
    stopped = asyncio.create_task(seen.wait())
    await asyncio.wait([watching, stopped], return_when=asyncio.FIRST_COMPLETED)
    assert not watching.done()
    watching.cancel()
    return samples


async def test_while_temporal_is_down_the_ranges_of_its_last_answer_are_still_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = await watched(monkeypatch, [None, {FIRST: 7}, None, {OTHER: 1}])
    assert samples == [{}, {FIRST: 7}, {FIRST: 7}, {OTHER: 1}]
    assert worker_telemetry.RETENTION_USED.labels(NORMALIZED)._value.get() == pytest.approx(0.3)


async def test_the_sampling_goes_on_after_a_read_that_stalls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(await watched(monkeypatch, [{}, {}], stalls=1)) == 2


SAMPLED = f"00-{'a' * 32}-{'b' * 16}-01"
AT = Coordinates(topic="webhooks.stripe.charge", partition=0, offset=1)


class Recorded(Tracer):
    """A tracer that keeps its spans."""

    recording = True

    def __init__(self) -> None:
        self.spans: list[tuple[str, str | None, Attributes, bool]] = []

    def record(
        self,
        name: str,
        traceparent: str | None,
        began_ns: int,
        attributes: Attributes,
        *,
        failed: bool = False,
    ) -> None:
        assert began_ns <= time_ns()
        self.spans.append((name, traceparent, attributes, failed))


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    monkeypatch.setattr(traces, "_tracer", recorded)
    return recorded


def row(number: int) -> ScoredEvent:
    event = charge(number, "run", AT).model_copy(update={"traceparent": SAMPLED})
    return ScoredEvent(event, None, InferenceStatus.UNAVAILABLE)


def test_the_span_of_a_row_names_its_outcome_and_its_workflow(tracer: Recorded) -> None:
    done = Written([row(1)], [row(2)], [row(3)], [Refused(row(4), "too long")])
    worker_telemetry.written(done, "ingest/x/0/1-5", time_ns())
    outcomes = [
        (about["payments.event_id"], about["payments.outcome"]) for _, _, about, _ in tracer.spans
    ]
    assert outcomes == [
        ("evt_run_1", "inserted"),
        ("evt_run_2", "duplicate"),
        ("evt_run_3", "conflict"),
        ("evt_run_4", "refused"),
    ]
    for name, traceparent, about, _ in tracer.spans:
        assert (name, traceparent) == ("write bronze", SAMPLED)
        assert about["payments.workflow_id"] == "ingest/x/0/1-5"
        assert about["payments.inference_status"] == "unavailable"


@pytest.mark.parametrize("available", [True, False])
def test_scoring_without_inference_is_a_failed_span(tracer: Recorded, available: bool) -> None:
    worker_telemetry.scored([row(1).event], time_ns(), available=available)
    ((name, _, about, failed),) = tracer.spans
    assert name == "score"
    assert failed == (not available)
    assert about["payments.outcome"] == ("answered" if available else "unavailable")


def test_the_span_of_a_dead_letter_names_its_class_and_quotes_no_body(tracer: Recorded) -> None:
    now = datetime.now(UTC)
    letter = BadRecord(
        failure=FailureClass.INVALID,
        errors=(),
        component="normalizer",
        component_version="1",
        provider="stripe",
        event_id=None,
        provider_event_type=None,
        source=AT,
        body=b"canary",
        body_sha256="0" * 64,
        received_at=now,
        verdict="verified",
        traceparent=SAMPLED,
        rejected_at=now,
    )
    worker_telemetry.quarantined([letter], "ingest/x/0/1-5", time_ns())
    ((name, traceparent, about, _),) = tracer.spans
    assert (name, traceparent) == ("quarantine", SAMPLED)
    assert about["payments.failure"] == "invalid"
    assert "canary" not in str(about)


def test_without_tracing_no_row_is_read() -> None:
    class Untouchable(Written):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

    worker_telemetry.written(Untouchable([], [], [], []), "", time_ns())
