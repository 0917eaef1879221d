"""How do rows that were written while inference was down get their scores?"""

from temporalio import workflow

from payment_pipeline.orchestrator.messages import (
    MORE_TO_RESCORE,
    OPEN_FOLLOW_UPS,
    PERSIST_SCORES,
    SCORE_UNSCORED,
    LateScores,
)
from payment_pipeline.orchestrator.workflows.policies import BATCH, BY_ACTIVITY, RESCORE


@workflow.defn
class Rescore:
    """The one pass over `inference_status = 'unavailable'`; its id is fixed, so there is one."""

    def __init__(self) -> None:
        self._more = True

    @workflow.run
    async def run(self, scored: int = 0) -> int:
        """Return how many rows were scored. It ends when none is left."""
        while self._more:
            self._more = False
            while (batch := await self._score()).events:
                # First, since rows that have their scores don't come again.
                if batch.follow_ups:
                    workflow.deprecate_patch(BY_ACTIVITY)
                    await workflow.execute_activity(OPEN_FOLLOW_UPS, batch.follow_ups, **BATCH)
                await workflow.execute_activity(PERSIST_SCORES, batch.scores, **BATCH)
                scored += batch.events
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(scored)
        return scored

    @workflow.signal(name=MORE_TO_RESCORE)
    def more(self) -> None:
        """A batch has left rows unscored: look again before ending."""
        self._more = True

    async def _score(self) -> LateScores:
        batch: LateScores = await workflow.execute_activity(
            SCORE_UNSCORED, result_type=LateScores, **RESCORE
        )
        return batch
