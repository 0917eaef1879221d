"""Bronze records an opened review together with its charge."""

import zlib
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from temporalio.testing import ActivityEnvironment

from payment_pipeline.domain.scoring import EventScores, Score, ScoreResponse
from payment_pipeline.orchestrator.messages import OffsetRange, Verdict
from payment_pipeline.orchestrator.worker.activities import Activities
from payment_pipeline.orchestrator.worker.follow_ups import ReviewRules
from support.fakes import FakeRanges
from support.normalized_events import NOWHERE, charge, normalized

pytestmark = pytest.mark.stack

RULES = ReviewRules(0.8, 3600, Verdict.DECLINED)
OPENED = "SELECT event_id, step, outcome, fraud_score, decided_at FROM payment_decisions"


async def test_a_review_is_recorded_once_with_its_charge(bronze: asyncpg.Pool) -> None:
    events = [charge(number, uuid4().hex[:8], NOWHERE) for number in range(2)]
    given = [
        EventScores(
            event_id=event.event_id,
            fraud_score=Score(value=value, model="fraud", version="1", reasons=[]),
        )
        for event, value in zip(events, (0.79, 0.81), strict=True)
    ]
    packed = zlib.compress(ScoreResponse(scores=given).model_dump_json().encode())

    ranges = FakeRanges(normalized(events))
    nothing: Any = None
    activities = Activities(nothing, bronze, ranges, nothing, RULES)
    for _ in range(2):  # as if the first attempt's result was lost
        persisted = await ActivityEnvironment().run(
            activities.persist_range, OffsetRange("payments.normalized", 0, 0, 2), packed
        )
        assert persisted.outcome.reviews == 1
    found = [tuple(row) for row in await bronze.fetch(OPENED)]
    assert found == [(events[1].event_id, 1, "pending", 0.81, events[1].received_at)]
