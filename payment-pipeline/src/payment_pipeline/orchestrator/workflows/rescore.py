"""How do rows that were written while inference was down get their scores?"""

from temporalio import workflow

from payment_pipeline.orchestrator.messages import RESCORE_BATCH, Rescored
from payment_pipeline.orchestrator.workflows.follow_ups import MORE_TO_RESCORE, open_follow_ups
from payment_pipeline.orchestrator.workflows.policies import RESCORE


@workflow.defn
class Rescore:
    """The one pass over `inference_status = 'unavailable'`; its id is fixed, so there is one."""

    def __init__(self) -> None:
        self._more = True

    @workflow.run
    async def run(self, scored: int = 0) -> int:
        """Return how many rows were scored. It ends when none is left that can be."""
        while self._more:
            self._more = False
            after_id: int | None = 0
            while after_id is not None:
                batch = await workflow.execute_activity(
                    RESCORE_BATCH, after_id, result_type=Rescored, **RESCORE
                )
                scored += batch.scored
                after_id = batch.next_id
                await open_follow_ups(batch.follow_ups)
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(scored)
        return scored

    @workflow.signal(name=MORE_TO_RESCORE)
    def more(self) -> None:
        """A batch has left rows unscored: look again before ending."""
        self._more = True
