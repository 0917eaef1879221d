"""The workflows that bring an offset range into bronze, or a range of dead letters into quarantine.

The events do not pass through Temporal: the activities read the range from Kafka themselves.
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

LOCAL_STEPS: Final = "steps in the workflow's own task"
"""Patch id in histories whose steps run as local activities. In older histories every step is an
activity, and a range with follow-ups has a second run."""

REFUSALS_AT_ONCE_MAX: Final = 200
"""Refusals in one call of `quarantine_events`. Each refusal costs a read of its raw record, so a
whole range of them would take longer than the activity's timeout."""


@workflow.defn
class IngestRange:
    """Brings a range of `payments.normalized` into bronze and starts its reviews and recoveries."""

    @workflow.run
    async def run(self, batch: OffsetRange, *second_run: Any) -> RangeOutcome:  # noqa: ANN401 - JSON
        """Score the range, write it, quarantine what bronze refused, start the follow-ups.

        Args:
            batch: the range. The SDK decodes the arguments of a method with `*args` to plain JSON
                values, so this is a mapping; the workflow only passes it on.
            second_run: empty. In histories older than `LOCAL_STEPS` a range with follow-ups has a
                second run, with two more arguments: the follow-ups and the outcome.

        Returns:
            The counts; the rows are in bronze.
        """
        if second_run:
            follow_ups, outcome = second_run
            workflow.deprecate_patch(BY_ACTIVITY)
            await workflow.execute_activity(OPEN_FOLLOW_UPS, follow_ups, **BATCH)
            recorded: RangeOutcome = outcome
            return recorded
        local = workflow.patched(LOCAL_STEPS)
        scores: bytes = await (
            _locally_first(SCORE_RANGE, batch, SCORE, bytes)
            if local
            else workflow.execute_activity(SCORE_RANGE, batch, result_type=bytes, **SCORE)
        )
        # Not a local activity: the scores must be in the history before a row is written with them.
        persisted: Persisted = await workflow.execute_activity(
            PERSIST_RANGE, args=[batch, scores], result_type=Persisted, **BATCH
        )
        for refusals in _chunks(persisted.refusals, REFUSALS_AT_ONCE_MAX):
            await workflow.execute_activity(QUARANTINE_EVENTS, refusals, **BATCH)
        if persisted.follow_ups:
            if not local:
                workflow.continue_as_new(args=[batch, persisted.follow_ups, persisted.outcome])
            await _locally_first(OPEN_FOLLOW_UPS, persisted.follow_ups, BATCH)
        return persisted.outcome


@workflow.defn
class QuarantineRange:
    """Brings a range of a dead-letter topic into `payment_events_quarantine`."""

    @workflow.run
    async def run(self, batch: OffsetRange) -> RangeOutcome:
        """Quarantine the range and return the counts."""
        outcome: RangeOutcome = await workflow.execute_activity(
            QUARANTINE_RANGE, batch, result_type=RangeOutcome, **BATCH
        )
        return outcome


async def _locally_first(
    step: str, argument: object, options: ActivityOptions, result_type: type | None = None
) -> Any:  # noqa: ANN401 - as `workflow.execute_activity`
    """Run a step as a local activity; if it fails, run it as an activity.

    The server hears of a local activity only when it is done, which costs the server a third of
    what an activity costs. But the server cannot show a local activity that is stuck, and each
    attempt would lengthen the history. So a step that waits for a store waits as an activity.

    Use it only for steps that may run again with another result: when a worker dies, the result of
    its local activity is lost.
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
