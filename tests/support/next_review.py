"""Two next versions of the review workflow: one with a patch, and one that breaks open reviews."""

from temporalio import workflow

from payment_pipeline.orchestrator.messages import (
    CHECK_PAYMENT,
    PaymentCheck,
    PaymentNow,
    ReviewRequest,
    ReviewState,
)
from payment_pipeline.orchestrator.workflows.policies import ONE_ROW
from payment_pipeline.orchestrator.workflows.review import FraudReview


async def ask_first(request: ReviewRequest) -> None:
    """Run the first step of the new version."""
    check = PaymentCheck(request.subject, request.subject.event_id)
    await workflow.execute_activity(CHECK_PAYMENT, check, result_type=PaymentNow, **ONE_ROW)


@workflow.defn(name="FraudReview")
class PatchedReview(FraudReview):
    """Runs the new step only in reviews that were opened with the new version."""

    @workflow.init
    def __init__(self, request: ReviewRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ReviewRequest) -> ReviewState:
        if workflow.patched("ask-first"):
            await ask_first(request)
        return await super().run(request)


@workflow.defn(name="FraudReview")
class UnpatchedReview(FraudReview):
    """Runs the new step in every review, so it cannot replay the history of an open review."""

    @workflow.init
    def __init__(self, request: ReviewRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ReviewRequest) -> ReviewState:
        await ask_first(request)
        return await super().run(request)
