"""Workflows on a real Temporal server that skips time, with scripted activities.

The activities return the answers that a test gives, and record their calls. The workflows run in
the sandbox.
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
    """Return a payment; without an id, a new payment that no other test uses."""
    return Subject("stripe", payment_id or f"pi_{uuid4().hex[:12]}", "evt_1", "cus_1", "acct_1")


def review(timeout_s: int = 3600, payment_id: str | None = None) -> ReviewRequest:
    """Return a request to review a payment."""
    return ReviewRequest(subject(payment_id), 0.97, timeout_s)


def recovery(due_in: timedelta, payment_id: str | None = None) -> RecoveryRequest:
    """Return a request to recover a failed payment with a retry after `due_in`."""
    return RecoveryRequest(subject(payment_id), advice(due_in))


def advice(due_in: timedelta, event_id: str = "evt_1") -> Advice:
    """Return the advice to retry after `due_in`."""
    return Advice("retry_in_24h", datetime.now(UTC) + due_in, 5, event_id, "visa_cap")


def persisted(refusals: Sequence[Refusal] = (), leads_to: FollowUps | None = None) -> Persisted:
    """Return the outcome of a written range of three events."""
    outcome = RangeOutcome(events=3, inserted=3 - len(refusals), quarantined=len(refusals))
    return Persisted(outcome, list(refusals), leads_to or FollowUps())


@dataclass
class Script:
    """The answers of the activities, and a record of their calls.

    A list of answers gives one answer per call, in order.
    """

    persisted: Persisted = field(default_factory=persisted)
    payments: list[PaymentNow] = field(default_factory=list)
    late: list[LateScores] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    quarantined: list[Refusal] = field(default_factory=list)
    unscorable: int = 0
    """Number of next attempts to score a range that fail."""
    unopenable: int = 0
    """Number of next attempts to open follow-ups that fail."""

    @activity.defn(name=messages.SCORE_RANGE)
    async def score_range(self, _: OffsetRange) -> bytes:
        self.asked.append(messages.SCORE_RANGE)
        if self.unscorable:
            self.unscorable -= 1
            raise ApplicationError("a store is down")
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
    """Start a separate Temporal server with the search attributes, in about three seconds."""
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
    """Run a worker with the script's activities, and yield its queue: the given or a new one."""
    queue = queue or f"scripted-{uuid4().hex[:8]}"

    @activity.defn(name=messages.OPEN_FOLLOW_UPS)
    async def open_follow_ups(wanted: FollowUps) -> None:
        script.asked.append(messages.OPEN_FOLLOW_UPS)
        if script.unopenable:
            script.unopenable -= 1
            raise ApplicationError("Temporal is down")
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
