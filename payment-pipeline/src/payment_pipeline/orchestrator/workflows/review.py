"""What does a person say of a payment that looks like fraud, and what if nobody says anything?"""

from datetime import timedelta

from temporalio import workflow

from payment_pipeline.orchestrator import search_attributes
from payment_pipeline.orchestrator.messages import (
    NOTE_CHARS_MAX,
    RECORD_DECISION,
    REVIEWER_CHARS_MAX,
    Decision,
    Outcome,
    ReviewAnswer,
    ReviewRequest,
    ReviewState,
    Verdict,
)
from payment_pipeline.orchestrator.workflows.policies import ONE_ROW

BY_PERSON = {Verdict.APPROVED: Outcome.APPROVED, Verdict.DECLINED: Outcome.DECLINED}
BY_TIMEOUT = {
    Verdict.APPROVED: Outcome.APPROVED_BY_TIMEOUT,
    Verdict.DECLINED: Outcome.DECLINED_BY_TIMEOUT,
}


@workflow.defn
class FraudReview:
    """Wait for `approve` or `decline`, the first of them counts; record the outcome in bronze.

    It moves no money: an outcome is advice to whoever ships or refunds.
    """

    @workflow.init
    def __init__(self, request: ReviewRequest) -> None:
        self._request = request
        self._opened_at = workflow.now()
        self._outcome = Outcome.PENDING
        self._answer: ReviewAnswer | None = None

    @workflow.run
    async def run(self, request: ReviewRequest) -> ReviewState:
        """Return the outcome, after bronze has it."""
        try:
            await workflow.wait_condition(
                lambda: self._answer is not None, timeout=timedelta(seconds=request.timeout_s)
            )
        except TimeoutError:
            self._outcome = BY_TIMEOUT[request.on_timeout]
        workflow.upsert_search_attributes(
            [search_attributes.OUTCOME.value_set(self._outcome.value)]
        )
        await workflow.execute_activity(RECORD_DECISION, self._decision(), **ONE_ROW)
        return self.state()

    @workflow.signal
    def approve(self, answer: ReviewAnswer) -> None:
        """The payment is genuine."""
        self._decide(Verdict.APPROVED, answer)

    @workflow.signal
    def decline(self, answer: ReviewAnswer) -> None:
        """The payment is fraud, or too likely to be."""
        self._decide(Verdict.DECLINED, answer)

    @workflow.query
    def state(self) -> ReviewState:
        """Where the review stands."""
        return ReviewState(
            outcome=self._outcome,
            fraud_score=self._request.fraud_score,
            due_at=self._opened_at + timedelta(seconds=self._request.timeout_s),
            reviewer=self._answer.reviewer if self._answer else None,
            note=self._answer.note or None if self._answer else None,
        )

    def _decide(self, verdict: Verdict, answer: ReviewAnswer) -> None:
        if self._outcome is not Outcome.PENDING:
            workflow.logger.warning("review was decided before; this answer is ignored")
            return
        if not answer.reviewer.strip():  # a decision that nobody stands for is none
            workflow.logger.warning("an answer without a reviewer is ignored")
            return
        self._answer = ReviewAnswer(
            answer.reviewer.strip()[:REVIEWER_CHARS_MAX], answer.note.strip()[:NOTE_CHARS_MAX]
        )
        self._outcome = BY_PERSON[verdict]

    def _decision(self) -> Decision:
        return Decision(
            workflow_id=workflow.info().workflow_id,
            step=2,  # after the row that says it was opened
            kind="review",
            subject=self._request.subject,
            outcome=self._outcome,
            decided_at=workflow.now(),
            fraud_score=self._request.fraud_score,
            decided_by=self._answer.reviewer if self._answer else None,
            note=self._answer.note or None if self._answer else None,
        )
