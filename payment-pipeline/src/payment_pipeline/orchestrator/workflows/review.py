"""The workflow in which a person decides about a payment that looks like fraud."""

from datetime import timedelta

from temporalio import workflow

from payment_pipeline.orchestrator import search_attribute_keys
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
    """Waits for `approve` or `decline` and records the outcome in bronze.

    The first answer counts. Without an answer in time, the request's `on_timeout` decides. The
    workflow moves no money: its outcome is advice for the people who ship or refund.
    """

    @workflow.init
    def __init__(self, request: ReviewRequest) -> None:
        self._request = request
        self._opened_at = workflow.now()
        self._outcome = Outcome.PENDING
        self._answer: ReviewAnswer | None = None

    @workflow.run
    async def run(self, request: ReviewRequest) -> ReviewState:
        """Wait for an answer or the timeout; return the outcome when bronze has it."""
        try:
            await workflow.wait_condition(
                lambda: self._answer is not None, timeout=timedelta(seconds=request.timeout_s)
            )
        except TimeoutError:
            self._outcome = BY_TIMEOUT[request.on_timeout]
        workflow.upsert_search_attributes(
            [search_attribute_keys.OUTCOME.value_set(self._outcome.value)]
        )
        await workflow.execute_activity(RECORD_DECISION, self._decision(), **ONE_ROW)
        return self.state()

    @workflow.signal
    def approve(self, answer: ReviewAnswer) -> None:
        """Decide that the payment is genuine."""
        self._decide(Verdict.APPROVED, answer)

    @workflow.signal
    def decline(self, answer: ReviewAnswer) -> None:
        """Decide that the payment is fraud, or too likely to be fraud."""
        self._decide(Verdict.DECLINED, answer)

    @workflow.query
    def state(self) -> ReviewState:
        """Return the review's outcome so far, its deadline and its answer."""
        return ReviewState(
            outcome=self._outcome,
            fraud_score=self._request.fraud_score,
            due_at=self._opened_at + timedelta(seconds=self._request.timeout_s),
            reviewer=self._answer.reviewer if self._answer else None,
            note=self._answer.note or None if self._answer else None,
        )

    def _decide(self, verdict: Verdict, answer: ReviewAnswer) -> None:
        if self._outcome is not Outcome.PENDING:
            workflow.logger.warning("ignored an answer: the review is already decided")
            return
        if not answer.reviewer.strip():
            workflow.logger.warning("ignored an answer: it names no reviewer")
            return
        self._answer = ReviewAnswer(
            answer.reviewer.strip()[:REVIEWER_CHARS_MAX], answer.note.strip()[:NOTE_CHARS_MAX]
        )
        self._outcome = BY_PERSON[verdict]

    def _decision(self) -> Decision:
        return Decision(
            workflow_id=workflow.info().workflow_id,
            step=2,  # step 1 is the row that was written when the review was opened
            kind="review",
            subject=self._request.subject,
            outcome=self._outcome,
            decided_at=workflow.now(),
            fraud_score=self._request.fraud_score,
            decided_by=self._answer.reviewer if self._answer else None,
            note=self._answer.note or None if self._answer else None,
        )
