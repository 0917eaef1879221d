"""How do the workflows behave when we say what the activities answer, and time can be skipped?

A real Temporal server that skips time, the sandbox, and activities that answer what a
test put in and note what they were asked.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

from local_stack.components import temporal
from payment_pipeline.orchestrator import messages, search_attribute_keys
from payment_pipeline.orchestrator.messages import (
    Advice,
    Decision,
    FollowUps,
    LateScores,
    OffsetRange,
    PaymentCheck,
    PaymentNow,
    Persisted,
    RangeOutcome,
    RecoveryRequest,
    Refusal,
    ReviewRequest,
    Subject,
)
from payment_pipeline.orchestrator.worker import follow_ups
from payment_pipeline.orchestrator.worker.assembly import WORKFLOWS
from support.sandbox import SANDBOX

BATCH = OffsetRange("payments.normalized", 0, 0, 3)
SCORES = b"scores"
SKIPS_TIME = ["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"]
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def subject(payment_id: str | None = None) -> Subject:
    """Somebody's payment; without an id, one that no other test has."""
    return Subject("stripe", payment_id or f"pi_{uuid4().hex[:12]}", "evt_1", "cus_1", "acct_1")


def review(timeout_s: int = 3600, payment_id: str | None = None) -> ReviewRequest:
    """A payment to look at."""
    return ReviewRequest(subject(payment_id), 0.97, timeout_s)


def recovery(due_in: timedelta, payment_id: str | None = None) -> RecoveryRequest:
    """A failed payment, to be tried again after so long."""
    return RecoveryRequest(subject(payment_id), advice(due_in))


def advice(due_in: timedelta, event_id: str = "evt_1") -> Advice:
    """To try again after so long."""
    return Advice("retry_in_24h", datetime.now(UTC) + due_in, 5, event_id, "visa_cap")


def persisted(refusals: Sequence[Refusal] = (), leads_to: FollowUps | None = None) -> Persisted:
    """A range of three events that was written."""
    outcome = RangeOutcome(events=3, inserted=3 - len(refusals), quarantined=len(refusals))
    return Persisted(outcome, list(refusals), leads_to or FollowUps())


@dataclass
class Script:
    """What the activities answer, in turn where it is a list, and what they were asked."""

    persisted: Persisted = field(default_factory=persisted)
    payments: list[PaymentNow] = field(default_factory=list)
    late: list[LateScores] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    quarantined: list[Refusal] = field(default_factory=list)
    unscorable: int = 0
    """How many of the next tries to score a range fail."""
    unopenable: int = 0
    """How many of the next tries to open what it leads to fail."""

    @activity.defn(name=messages.SCORE_RANGE)
    async def score_range(self, _: OffsetRange) -> bytes:
        self.asked.append(messages.SCORE_RANGE)
        if self.unscorable:
            self.unscorable -= 1
            raise ApplicationError("a store is away")
        return SCORES

    @activity.defn(name=messages.PERSIST_RANGE)
    async def persist_range(self, _: OffsetRange, packed: bytes) -> Persisted:
        assert packed == SCORES
        self.asked.append(messages.PERSIST_RANGE)
        return self.persisted

    @activity.defn(name=messages.QUARANTINE_EVENTS)
    async def quarantine_events(self, refusals: list[Refusal]) -> None:
        self.asked.append(messages.QUARANTINE_EVENTS)
        self.quarantined += refusals

    @activity.defn(name=messages.QUARANTINE_RANGE)
    async def quarantine_range(self, _: OffsetRange) -> RangeOutcome:
        return RangeOutcome(events=3, quarantined=3)

    @activity.defn(name=messages.SCORE_UNSCORED)
    async def score_unscored(self) -> LateScores:
        return self.late.pop(0) if self.late else LateScores(events=0)

    @activity.defn(name=messages.PERSIST_SCORES)
    async def persist_scores(self, scores: str) -> int:
        self.asked.append(f"{messages.PERSIST_SCORES} {scores}")
        return 1

    @activity.defn(name=messages.RECORD_DECISION)
    async def record_decision(self, decision: Decision) -> None:
        self.decisions.append(decision)

    @activity.defn(name=messages.CHECK_PAYMENT)
    async def check_payment(self, check: PaymentCheck) -> PaymentNow:
        self.asked.append(f"{messages.CHECK_PAYMENT} {check.event_id}")
        return self.payments.pop(0) if self.payments else PaymentNow()


@asynccontextmanager
async def server(*, skips_time: bool = True) -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server of one's own, with the search attributes; about three seconds to start."""
    keys = (
        search_attribute_keys.PAYMENT_ID,
        search_attribute_keys.CUSTOMER_ID,
        search_attribute_keys.MERCHANT_ID,
        search_attribute_keys.OUTCOME,
    )
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=skips_time),
        dev_server_existing_path=str(temporal.binary()),
        dev_server_extra_args=SKIPS_TIME,
        dev_server_log_level="error",
        search_attributes=keys,
    ) as environment:
        yield environment


@asynccontextmanager
async def running(
    client: Client,
    script: Script,
    queue: str | None = None,
    workflows: Sequence[type] = WORKFLOWS,
) -> AsyncIterator[str]:
    """A worker over the script, on a queue of its own if none is given; yields the queue."""
    queue = queue or f"scripted-{uuid4().hex[:8]}"

    @activity.defn(name=messages.OPEN_FOLLOW_UPS)
    async def open_follow_ups(wanted: FollowUps) -> None:
        script.asked.append(messages.OPEN_FOLLOW_UPS)
        if script.unopenable:
            script.unopenable -= 1
            raise ApplicationError("Temporal is away")
        await follow_ups.start(client, wanted, activity.info().task_queue)

    activities: list[Callable[..., Any]] = [
        script.score_range,
        script.persist_range,
        script.quarantine_events,
        script.quarantine_range,
        open_follow_ups,
        script.score_unscored,
        script.persist_scores,
        script.record_decision,
        script.check_payment,
    ]
    async with Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=SANDBOX,
    ):
        yield queue
