"""How does a range of offsets get into bronze? Score, persist, set aside what can't be stored.

The events never pass through Temporal: the activities read the range from Kafka themselves.
"""

from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import FailureError

from payment_pipeline.orchestrator.messages import (
    OPEN_FOLLOW_UPS,
    PERSIST_RANGE,
    QUARANTINE_EVENTS,
    QUARANTINE_RANGE,
    SCORE_RANGE,
    FollowUps,
    OffsetRange,
    Persisted,
    RangeOutcome,
    Refusal,
)
from payment_pipeline.orchestrator.workflows.policies import (
    BATCH,
    BY_ACTIVITY,
    ONCE,
    SCORE,
    ActivityOptions,
)

HERE: Final = "steps in the workflow's own task"

REFUSALS_AT_ONCE_MAX: Final = 200
"""Each costs a read of its raw record: a whole range of them would outlast the timeout."""


@workflow.defn
class IngestRange:
    """Bring a range of `payments.normalized` into bronze, and begin what it leads to."""

    @workflow.run
    async def run(
        self,
        batch: OffsetRange,
        follow_ups: FollowUps | None = None,
        outcome: RangeOutcome | None = None,
    ) -> RangeOutcome:
        """Return the counts; bronze holds the rest.

        Before `HERE` a range that led on had a second run, with what it led to and its outcome.
        """
        if follow_ups is not None and outcome is not None:
            workflow.deprecate_patch(BY_ACTIVITY)
            await workflow.execute_activity(OPEN_FOLLOW_UPS, follow_ups, **BATCH)
            return outcome
        here = workflow.patched(HERE)
        scores: bytes = await (
            _here_first(SCORE_RANGE, batch, SCORE, bytes)
            if here
            else workflow.execute_activity(SCORE_RANGE, batch, result_type=bytes, **SCORE)
        )
        # An activity: the scores are in the history before a row is written by them.
        persisted: Persisted = await workflow.execute_activity(
            PERSIST_RANGE, args=[batch, scores], result_type=Persisted, **BATCH
        )
        for refusals in _chunks(persisted.refusals, REFUSALS_AT_ONCE_MAX):
            await workflow.execute_activity(QUARANTINE_EVENTS, refusals, **BATCH)
        if persisted.follow_ups:
            if not here:
                workflow.continue_as_new(args=[batch, persisted.follow_ups, persisted.outcome])
            await _here_first(OPEN_FOLLOW_UPS, persisted.follow_ups, BATCH)
        return persisted.outcome


@workflow.defn
class QuarantineRange:
    """Bring a range of a dead-letter topic into `payment_events_quarantine`."""

    @workflow.run
    async def run(self, batch: OffsetRange) -> RangeOutcome:
        """Return the counts."""
        outcome: RangeOutcome = await workflow.execute_activity(
            QUARANTINE_RANGE, batch, result_type=RangeOutcome, **BATCH
        )
        return outcome


async def _here_first(
    step: str, argument: object, options: ActivityOptions, result_type: type | None = None
) -> Any:  # noqa: ANN401 - as `workflow.execute_activity`
    """Take a step in the workflow's own task; only where that fails, as an activity of its own.

    The server then hears of the step when it is done, which costs it a third of what an activity
    does. But it can't show one that is stuck, and each of its tries would lengthen the history, so
    what has to wait for a store waits as an activity. Only for steps that may be taken again with
    another answer: a worker that dies takes the answer with it.
    """
    try:
        return await workflow.execute_local_activity(
            step,
            argument,
            result_type=result_type,
            start_to_close_timeout=options["start_to_close_timeout"],
            retry_policy=ONCE,
        )
    except FailureError:
        if workflow.cancellation_reason() is not None:
            raise
        return await workflow.execute_activity(step, argument, result_type=result_type, **options)


def _chunks(items: list[Refusal], size: int) -> list[list[Refusal]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
