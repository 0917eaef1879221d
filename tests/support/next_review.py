"""What may the next version of a workflow look like, and what must it not?"""

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
    """The step that the new version has before all others."""
    check = PaymentCheck(request.subject, request.subject.event_id)
    await workflow.execute_activity(CHECK_PAYMENT, check, result_type=PaymentNow, **ONE_ROW)


@workflow.defn(name="FraudReview")
class PatchedReview(FraudReview):
    """Asks first, but not in a review that was opened before it did."""

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
    """Asks first, in every review: an open one has another history."""

    @workflow.init
    def __init__(self, request: ReviewRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ReviewRequest) -> ReviewState:
        await ask_first(request)
        return await super().run(request)
