"""Finds the reviews and recoveries that written rows call for, and starts their workflows.

A successful charge that looks like fraud gets a review. A failed payment that may be retried gets a
recovery. Each looks at one type of event only, so that a payment comes up once.

An activity starts the workflows through the client. As child workflows of the batch they would cost
the server more, because the parent's history records every child. A recovery's first step runs when
it first looks at its payment; a start at once with a timer would cost the server twice as much.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import APPROVED
from payment_pipeline.domain.scoring import Score
from payment_pipeline.orchestrator import search_attribute_keys
from payment_pipeline.orchestrator.messages import (
    MORE_TO_RESCORE,
    RESCORE_ID,
    Advice,
    Decision,
    FollowUps,
    Outcome,
    RecoveryRequest,
    ReviewRequest,
    Subject,
    Verdict,
)
from payment_pipeline.orchestrator.workflows.policies import TASK_TIMEOUT
from payment_pipeline.orchestrator.workflows.recovery import until_first_look

REVIEW: Final = "FraudReview", WorkflowIDReusePolicy.REJECT_DUPLICATE
"""A payment is reviewed once."""
RECOVERY: Final = "PaymentRecovery", WorkflowIDReusePolicy.ALLOW_DUPLICATE
"""A payment may fail again after its recovery has ended; it then gets another recovery. While a
recovery is open, it finds the new failure itself."""

STARTS_AT_ONCE_MAX: Final = 10
"""Workflow starts at a time; a larger burst would slow the batches that follow."""

SUCCESSES: Final = frozenset({"payment.succeeded", "charge.succeeded"})


class ReviewRules(NamedTuple):
    """The settings for reviews: lowest score, time to answer, and outcome without an answer."""

    fraud_score_min: float
    review_timeout_s: int
    on_timeout: Verdict


def find(rows: Sequence[ScoredEvent], rules: ReviewRules) -> FollowUps:
    """Return the follow-ups of written rows: each payment at most once, by its latest failure."""
    paid = {
        _payment(row.event)
        for row in rows
        if row.event.event_type in SUCCESSES and row.event.status in APPROVED
    }
    reviews: dict[str, ReviewRequest] = {}
    recoveries: dict[str, RecoveryRequest] = {}
    for row in rows:
        if (review := _review(row, rules)) is not None:
            reviews.setdefault(review.workflow_id, review)
        if (recovery := _recovery(row)) is not None and _payment(row.event) not in paid:
            recoveries[recovery.workflow_id] = recovery
    unscored = any(row.status is InferenceStatus.UNAVAILABLE for row in rows)
    return FollowUps(list(reviews.values()), list(recoveries.values()), unscored)


def opening(review: ReviewRequest, at: datetime) -> Decision:
    """Return the decision row that opens a review; the outcome becomes the second row."""
    return Decision(
        workflow_id=review.workflow_id,
        step=1,
        kind="review",
        subject=review.subject,
        outcome=Outcome.PENDING,
        decided_at=at,
        fraud_score=review.fraud_score,
    )


def advice(score: Score | None, event_id: str, occurred_at: datetime) -> Advice | None:
    """Return when to retry; `None` if the model says not to retry, or to ask the customer.

    The retry model's `detail` has `delay_s` (counted from the failure), `attempts_left` and `rule`.
    """
    detail = (score.detail if score else None) or {}
    delay_s = detail.get("delay_s")
    if score is None or not isinstance(delay_s, int | float):
        return None
    left, rule = detail.get("attempts_left"), detail.get("rule")
    return Advice(
        strategy=str(score.value),
        due_at=occurred_at + timedelta(seconds=int(delay_s)),
        attempts_left=int(left) if isinstance(left, int | float) else 0,
        event_id=event_id,
        rule=rule if isinstance(rule, str) else None,
    )


def _review(row: ScoredEvent, rules: ReviewRules) -> ReviewRequest | None:
    score = row.scores.fraud_score if row.scores else None
    subject = _subject(row.event)
    if row.event.event_type != "charge.succeeded" or score is None or subject is None:
        return None
    if not isinstance(score.value, float) or score.value < rules.fraud_score_min:
        return None
    return ReviewRequest(subject, score.value, rules.review_timeout_s, rules.on_timeout)


def _recovery(row: ScoredEvent) -> RecoveryRequest | None:
    event, subject = row.event, _subject(row.event)
    # A charge that belongs to no payment counts as a payment.
    alone = event.event_type == "charge.failed" and event.payment_id == event.object_id
    if subject is None or not (alone or event.event_type == "payment.failed"):
        return None
    score = row.scores.retry_strategy if row.scores else None
    given = advice(score, event.event_id, event.occurred_at)
    return RecoveryRequest(subject, given) if given is not None else None


def _payment(event: PaymentEvent) -> tuple[str, str | None]:
    return event.provider, event.payment_id


def _subject(event: PaymentEvent) -> Subject | None:
    if event.payment_id is None:
        return None
    return Subject(
        event.provider, event.payment_id, event.event_id, event.customer_id, event.merchant_id
    )


async def start(client: Client, wanted: FollowUps, task_queue: str) -> None:
    """Start the workflows that do not exist yet; return when Temporal has acknowledged all.

    Raises:
        RPCError: Temporal has not acknowledged all; the same call again starts the missing ones.
    """
    slots = asyncio.Semaphore(STARTS_AT_ONCE_MAX)

    async def start_one(request: ReviewRequest | RecoveryRequest) -> None:
        async with slots:
            await _start(client, request, task_queue)

    await asyncio.gather(*map(start_one, wanted.requests))
    if wanted.rescore:
        # Signals the rescore that runs, or starts one.
        await client.start_workflow(
            "Rescore",
            id=RESCORE_ID,
            task_queue=task_queue,
            task_timeout=TASK_TIMEOUT,
            start_signal=MORE_TO_RESCORE,
        )


async def _start(client: Client, request: ReviewRequest | RecoveryRequest, task_queue: str) -> None:
    if isinstance(request, ReviewRequest):  # a person may answer or query it right away
        (name, reuse), delay = REVIEW, None
    else:
        (name, reuse), delay = RECOVERY, until_first_look(request.advice.due_at, datetime.now(UTC))
        request = replace(request, is_delayed=True)
    try:
        await client.start_workflow(
            name,
            request,
            id=request.workflow_id,
            task_queue=task_queue,
            id_reuse_policy=reuse,
            task_timeout=TASK_TIMEOUT,
            search_attributes=search_attribute_keys.of(request.subject),
            memo=_memo(request),
            start_delay=delay,
        )
    except WorkflowAlreadyStartedError:
        return  # another event of the payment has started it


def _memo(request: ReviewRequest | RecoveryRequest) -> dict[str, str | float]:
    """Return the values that a list shows without a query to each workflow."""
    if isinstance(request, ReviewRequest):
        return {
            "event_id": request.subject.event_id,
            "fraud_score": request.fraud_score,
            "timeout_s": request.timeout_s,
            "on_timeout": request.on_timeout.value,
        }
    return {"event_id": request.subject.event_id, "strategy": request.advice.strategy}
