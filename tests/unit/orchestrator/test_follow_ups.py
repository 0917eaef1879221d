"""Exactly the payments that need a review or a recovery get one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.scoring import EventScores, Score
from payment_pipeline.orchestrator.messages import Advice, ReviewRequest, Subject, Verdict
from payment_pipeline.orchestrator.worker.follow_ups import ReviewRules, find, opening
from support import bare_event

RULES = ReviewRules(0.9, 3600, Verdict.DECLINED)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
RETRY = Score(
    value="retry_in_24h",
    model="retry_strategy",
    version="1",
    reasons=[],
    detail={"delay_s": 86400.0, "attempts_left": 5.0, "rule": "visa_cap"},
)
STOP = Score(
    value="do_not_retry",
    model="retry_strategy",
    version="1",
    reasons=[],
    detail={"rule": "hard_decline_stop", "attempts_left": 0.0},
)


def row(
    event_type: str,
    *,
    fraud: float | None = None,
    retry: Score | None = None,
    event_id: str = "evt_1",
    **fields: str | None,
) -> ScoredEvent:
    known: dict[str, Any] = {
        "event_id": event_id,
        "payment_id": "pi_1",
        "object_id": "ch_1",
        "customer_id": "cus_1",
        **fields,
    }
    event = bare_event.event(event_type, NOON, **known)
    score = Score(value=fraud, model="fraud", version="1", reasons=[]) if fraud else None
    scores = EventScores(event_id=event_id, fraud_score=score, retry_strategy=retry)
    return ScoredEvent(event, scores, InferenceStatus.SCORED)


def test_a_charge_that_looks_like_fraud_gets_a_review() -> None:
    found = find([row("charge.succeeded", fraud=0.9)], RULES)
    subject = Subject("stripe", "pi_1", "evt_1", "cus_1", None)
    assert found.reviews == [ReviewRequest(subject, 0.9, 3600, Verdict.DECLINED)]
    assert found.reviews[0].workflow_id == "review/stripe/pi_1"
    assert not found.recoveries


@pytest.mark.parametrize(
    "other",
    [
        row("charge.succeeded", fraud=0.89),
        row("charge.failed", fraud=0.99),  # no money moved
        row("payment.succeeded", fraud=0.99),  # its charge gets the review
        row("refund.created", fraud=0.99, payment_id=None),
    ],
)
def test_other_events_get_no_review(other: ScoredEvent) -> None:
    assert not find([other], RULES)


def test_a_failed_payment_gets_a_recovery_with_the_advised_time() -> None:
    found = find([row("payment.failed", retry=RETRY)], RULES)
    (recovery,) = found.recoveries
    due_at = NOON + timedelta(days=1)
    assert recovery.advice == Advice("retry_in_24h", due_at, 5, "evt_1", "visa_cap")
    assert recovery.workflow_id == "recovery/stripe/pi_1"


def test_a_payment_that_must_not_be_retried_gets_no_recovery() -> None:
    assert not find([row("payment.failed", retry=STOP)], RULES)


def test_an_attempt_that_fails_as_charge_and_as_payment_gets_one_recovery() -> None:
    found = find(
        [row("charge.failed", retry=RETRY), row("payment.failed", retry=RETRY, event_id="evt_2")],
        RULES,
    )
    assert [one.subject.event_id for one in found.recoveries] == ["evt_2"]


def test_a_failed_charge_without_a_payment_gets_a_recovery() -> None:
    assert find([row("charge.failed", retry=RETRY, payment_id="ch_1")], RULES).recoveries


def test_the_latest_of_several_failures_in_a_batch_counts() -> None:
    rows = [row("payment.failed", retry=RETRY, event_id=name) for name in ("evt_1", "evt_2")]
    (recovery,) = find(rows, RULES).recoveries
    assert recovery.advice.event_id == "evt_2"


def test_a_payment_that_succeeds_in_the_same_batch_gets_no_recovery() -> None:
    rows = [row("payment.failed", retry=RETRY), row("payment.succeeded", event_id="evt_2")]
    assert not find(rows, RULES)
    assert not find(rows[::-1], RULES)  # events come in any order


def test_rows_without_scores_call_only_for_a_rescore() -> None:
    waiting = row("charge.succeeded", fraud=0.99)._replace(
        scores=None, status=InferenceStatus.UNAVAILABLE
    )
    found = find([waiting], RULES)
    assert found.rescore
    assert not found.reviews


def test_a_review_is_recorded_when_it_is_opened() -> None:
    (review,) = find([row("charge.succeeded", fraud=0.97)], RULES).reviews
    decision = opening(review, NOON)
    assert (decision.workflow_id, decision.step) == (review.workflow_id, 1)
    assert (decision.kind, decision.outcome, decision.decided_at) == ("review", "pending", NOON)
    assert (decision.subject, decision.fraud_score) == (review.subject, 0.97)
