"""The workflow that advises when to retry a failed payment, and records how the payment ended.

The workflow moves no money. The times come from the retry model (`retry_strategy` of the inference
stage), which chooses only times that the card networks' rules allow.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from temporalio import workflow

from payment_pipeline.orchestrator import search_attribute_keys
from payment_pipeline.orchestrator.messages import (
    CHECK_PAYMENT,
    RECORD_DECISION,
    Decision,
    Outcome,
    PaymentCheck,
    PaymentNow,
    RecoveryRequest,
    RecoveryState,
)
from payment_pipeline.orchestrator.workflows.policies import ONE_ROW

CHECK_EVERY: Final = timedelta(days=1)
"""Time between two looks at bronze before an attempt is due: the customer may pay in another way
meanwhile."""

AFTER_DUE: Final = (
    *(timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1)),
    timedelta(days=2),
)
"""Pauses between the looks at bronze after the advised time; the first one starts at that time."""

DELAYED: Final = "a delayed start looks at once"
"""Patch id in histories whose start was delayed until the first look at bronze."""

ADVICES_MAX: Final = 35
"""Limit against an endless loop. It is more than any card network allows in its 30 days."""


def until_first_look(due_at: datetime, now: datetime) -> timedelta:
    """Return how long the recovery has nothing to do.

    That is one day, or until 15 minutes after `due_at` if that time is nearer. The failure may have
    arrived late, so `due_at` may be in the past.
    """
    left = due_at - now
    return CHECK_EVERY if left > CHECK_EVERY else max(left, timedelta(0)) + AFTER_DUE[0]


@workflow.defn
class PaymentRecovery:
    """Follows a failed payment until it succeeds, or until no further attempt is allowed or made.

    Outcomes: `recovered`, `exhausted` (it failed again and must not be retried) and `not_retried`.
    """

    @workflow.init
    def __init__(self, request: RecoveryRequest) -> None:
        self._subject = request.subject
        self._advice = request.advice
        self._slept = False
        self._outcome = Outcome.PENDING
        self._step = 0
        self._advised = 0

    @workflow.run
    async def run(self, request: RecoveryRequest) -> RecoveryState:
        """Follow the payment; return the outcome when bronze has it."""
        # Workers of an older version still run the first step of a delayed start and then sleep.
        self._slept = request.is_delayed and workflow.patched(DELAYED)
        while self._outcome is Outcome.PENDING:
            self._advised += 1
            if self._advised > 1:  # the first advice is in the failed event's own row
                await self._record()
            now = await self._until_something_happens()
            if now.succeeded:
                self._outcome = Outcome.RECOVERED
            elif not now.failed_again:
                self._outcome = Outcome.NOT_RETRIED
            elif now.advice is None or self._advised >= ADVICES_MAX:
                self._outcome = Outcome.EXHAUSTED
            else:
                self._advice = now.advice
        workflow.upsert_search_attributes(
            [search_attribute_keys.OUTCOME.value_set(self._outcome.value)]
        )
        await self._record()
        return self.state()

    @workflow.query
    def state(self) -> RecoveryState:
        """Return the recovery's outcome so far and its latest advice."""
        return RecoveryState(
            outcome=self._outcome,
            strategy=self._advice.strategy,
            due_at=self._advice.due_at,
            attempts_left=self._advice.attempts_left,
            advised=self._advised,
        )

    async def _until_something_happens(self) -> PaymentNow:
        """Look at bronze after each pause until the payment succeeds or fails, or time is up."""
        now = PaymentNow()
        for pause in self._pauses():
            if not self._slept:
                await workflow.sleep(pause)
            self._slept = False
            now = await self._check()
            if now.succeeded or now.failed_again:
                break
        return now

    def _pauses(self) -> Iterator[timedelta]:
        """Yield single days until the advised time is near, then the pauses of `AFTER_DUE`."""
        if self._slept and self._advice.due_at > workflow.now():
            yield CHECK_EVERY  # the delayed start has already waited for this day
        while self._advice.due_at - workflow.now() > CHECK_EVERY:
            yield CHECK_EVERY
        yield until_first_look(self._advice.due_at, workflow.now())
        yield from AFTER_DUE[1:]

    async def _check(self) -> PaymentNow:
        now: PaymentNow = await workflow.execute_activity(
            CHECK_PAYMENT,
            PaymentCheck(self._subject, self._advice.event_id),
            result_type=PaymentNow,
            **ONE_ROW,
        )
        return now

    async def _record(self) -> None:
        self._step += 1
        decision = Decision(
            workflow_id=workflow.info().workflow_id,
            step=self._step,
            kind="recovery",
            subject=self._subject,
            outcome=self._outcome,
            decided_at=workflow.now(),
            strategy=self._advice.strategy,
            due_at=self._advice.due_at,
            attempts_left=self._advice.attempts_left,
        )
        await workflow.execute_activity(RECORD_DECISION, decision, **ONE_ROW)
