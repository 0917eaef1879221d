"""The workflow that scores rows which were written while inference was down."""

from temporalio import workflow

from payment_pipeline.orchestrator.messages import (
    MORE_TO_RESCORE,
    OPEN_FOLLOW_UPS,
    PERSIST_SCORES,
    SCORE_UNSCORED,
    LateScores,
    RescoreProgress,
)
from payment_pipeline.orchestrator.workflows.policies import BATCH, BY_ACTIVITY, RESCORE


@workflow.defn
class Rescore:
    """Scores all rows with `inference_status = 'unavailable'`.

    The workflow id is fixed, so at most one of them runs.
    """

    def __init__(self) -> None:
        self._more = True

    @workflow.run
    async def run(self, progress: RescoreProgress | int = 0) -> int:
        """Score until no row is left.

        Args:
            progress: the work of earlier runs. Older versions passed on the count alone.

        Returns:
            How many rows this run and the earlier runs have scored.
        """
        scored = progress if isinstance(progress, int) else progress.scored
        while self._more:
            self._more = False
            while (batch := await self._score()).events:
                # Follow-ups first: rows that have their scores are not read again.
                if batch.follow_ups:
                    workflow.deprecate_patch(BY_ACTIVITY)
                    await workflow.execute_activity(OPEN_FOLLOW_UPS, batch.follow_ups, **BATCH)
                await workflow.execute_activity(PERSIST_SCORES, batch.scores, **BATCH)
                scored += batch.events
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(RescoreProgress(scored))
        return scored

    @workflow.signal(name=MORE_TO_RESCORE)
    def more(self) -> None:
        """Look again before ending: a batch has left rows without scores."""
        self._more = True

    async def _score(self) -> LateScores:
        batch: LateScores = await workflow.execute_activity(
            SCORE_UNSCORED, result_type=LateScores, **RESCORE
        )
        return batch
