"""Scoring rows that were written while inference was down."""

import zlib
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from temporalio.exceptions import ApplicationError

from payment_pipeline.bronze import bronze_reader
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.orchestrator.messages import Verdict
from payment_pipeline.orchestrator.worker.activities import Activities
from payment_pipeline.orchestrator.worker.follow_ups import ReviewRules
from payment_pipeline.orchestrator.worker.scorer import UNAVAILABLE
from support.bronze_events import events

WAITING = events(3)


@pytest.fixture
def activities(monkeypatch: pytest.MonkeyPatch) -> Activities:
    async def unscored(*_: object) -> Sequence[PaymentEvent]:
        return WAITING

    monkeypatch.setattr(bronze_reader, "unscored", unscored)
    nothing: Any = None
    return Activities(nothing, nothing, nothing, nothing, ReviewRules(0.9, 3600, Verdict.DECLINED))


def answering(activities: Activities, monkeypatch: pytest.MonkeyPatch, packed: bytes) -> None:
    async def score(_: Sequence[PaymentEvent]) -> bytes:
        return packed

    monkeypatch.setattr(activities, "_score", score)


async def test_an_event_without_features_does_not_hold_up_the_others(
    activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = [{"event_id": event.event_id} for event in WAITING[1:]]
    answering(activities, monkeypatch, zlib.compress(orjson.dumps({"scores": answered})))
    assert (await activities.score_unscored()).events == 2


async def test_without_any_score_the_activity_fails_and_is_retried(
    activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(activities, monkeypatch, UNAVAILABLE)
    with pytest.raises(ApplicationError, match="still unavailable"):
        await activities.score_unscored()
