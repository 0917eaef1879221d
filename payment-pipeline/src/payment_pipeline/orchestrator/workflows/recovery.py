"""When should a failed payment be tried again, and did it succeed?

It advises and records; it moves no money. The times come from the retry model, which chooses only
among what the card networks' rules allow (`retry_strategy` of the inference stage).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from temporalio import workflow

from payment_pipeline.orchestrator import search_attributes
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
"""While an attempt is not due yet: the customer may pay by other means."""

AFTER_DUE: Final = (
    *(timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1)),
    timedelta(days=2),
)
"""How long after the advised time to look for the attempt that it advised, each after the last."""

DELAYED: Final = "a delayed start looks at once"

ADVICES_MAX: Final = 35
"""More attempts than any network allows in its 30 days: a limit against a loop, not a rule."""


def until_first_look(due_at: datetime, now: datetime) -> timedelta:
    """How long nothing needs doing: a day, or until a little after the advised time.

    Of a failure that came late that time is past already.
    """
    left = due_at - now
    return CHECK_EVERY if left > CHECK_EVERY else max(left, timedelta(0)) + AFTER_DUE[0]


@workflow.defn
class PaymentRecovery:
    """Follow one failed payment until it succeeded, or may not or will not be tried again."""

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
        """Return the outcome, after bronze has it."""
        # A worker of before, that has the first step of such a one, sleeps all the same.
        self._slept = request.is_delayed and workflow.patched(DELAYED)
        while self._outcome is Outcome.PENDING:
            self._advised += 1
            if self._advised > 1:  # the first advice stands in the failed event's own row
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
            [search_attributes.OUTCOME.value_set(self._outcome.value)]
        )
        await self._record()
        return self.state()

    @workflow.query
    def state(self) -> RecoveryState:
        """Where the recovery stands."""
        return RecoveryState(
            outcome=self._outcome,
            strategy=self._advice.strategy,
            due_at=self._advice.due_at,
            attempts_left=self._advice.attempts_left,
            advised=self._advised,
        )

    async def _until_something_happens(self) -> PaymentNow:
        """Sleep through the advised time and the days after it, looking at bronze now and then."""
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
        """Each day before the advised time one, then ever longer ones."""
        if self._slept and self._advice.due_at > workflow.now():
            yield CHECK_EVERY  # the day that the start waited for
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
