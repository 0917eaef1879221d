"""Lists the payments that wait for a review, and sends a person's answer to one of them."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)

from payment_pipeline.domain import search_attributes as names
from payment_pipeline.domain.failures import UserError
from payment_pipeline.orchestrator import search_attribute_keys as keys
from payment_pipeline.orchestrator.messages import (
    NOTE_CHARS_MAX,
    REVIEWER_CHARS_MAX,
    ReviewAnswer,
    ReviewState,
    Verdict,
)

RECORDED_WITHIN_S: Final = 10.0
"""How long to wait until bronze has the outcome. After that the worker still records it."""

_PAYMENT: Final = re.compile(r"[\w.:-]{1,255}")
_SIGNALS: Final = {Verdict.APPROVED: "approve", Verdict.DECLINED: "decline"}


class OpenReview(NamedTuple):
    """A payment that waits for a person's answer."""

    payment_id: str
    customer_id: str | None
    merchant_id: str | None
    fraud_score: float
    opened_at: datetime
    due_at: datetime
    """When `on_timeout` becomes the outcome."""
    on_timeout: str
    workflow_id: str
    run_id: str


async def open_reviews(client: Client) -> list[OpenReview]:
    """Return all open reviews, with the earliest deadline first.

    Raises:
        temporalio.service.RPCError: Temporal does not answer, or refuses the request.
    """
    query = "WorkflowType = 'FraudReview' AND ExecutionStatus = 'Running'"
    found = [await _read(one) async for one in client.list_workflows(query)]
    return sorted(found, key=lambda review: review.due_at)


async def answer(
    client: Client, payment_id: str, verdict: Verdict, reviewer: str, note: str
) -> ReviewState | None:
    """Approve or decline a payment, and wait until bronze has the outcome.

    Returns:
        The review's final state; `None` if it is not recorded within `RECORDED_WITHIN_S`.

    Raises:
        UserError: the payment has no review, its review is closed or was ended in Temporal, or an
            argument is missing or too long.
        temporalio.service.RPCError: Temporal does not answer, or refuses the request.
    """
    if not 0 < len(reviewer.strip()) <= REVIEWER_CHARS_MAX:
        raise UserError(
            "The answer names no reviewer, or the name is too long. "
            f"Give --by NAME with at most {REVIEWER_CHARS_MAX} characters."
        )
    if len(note) > NOTE_CHARS_MAX:
        raise UserError(f"The note is too long. Give at most {NOTE_CHARS_MAX} characters.")
    handle = await _find(client, payment_id)
    await handle.signal(_SIGNALS[verdict], ReviewAnswer(reviewer, note))
    try:
        async with asyncio.timeout(RECORDED_WITHIN_S):
            state: ReviewState = await handle.result()
    except TimeoutError:
        return None
    except WorkflowFailureError:  # terminated or cancelled in Temporal
        raise UserError(
            f"The review of {payment_id} was ended in Temporal without an outcome.", 1
        ) from None
    return state


async def _find(client: Client, payment_id: str) -> WorkflowHandle[Any, ReviewState]:
    if not _PAYMENT.fullmatch(payment_id):  # the id becomes part of a query
        raise UserError(
            f"{payment_id!r} is not a payment id. Give one that `payments review list` shows."
        )
    query = f"WorkflowType = 'FraudReview' AND {names.PAYMENT_ID} = '{payment_id}'"
    found = [one async for one in client.list_workflows(query)]
    running = [one for one in found if one.status is WorkflowExecutionStatus.RUNNING]
    if running:
        return client.get_workflow_handle(
            running[0].id, run_id=running[0].run_id, result_type=ReviewState
        )
    if found:
        outcome = found[0].typed_search_attributes.get(keys.OUTCOME)
        raise UserError(f"The review of {payment_id} is closed: {outcome}.", 1)
    raise UserError(
        f"{payment_id} has no review. `payments review list` shows the open reviews.", 1
    )


async def _read(one: WorkflowExecution) -> OpenReview:
    memo: Mapping[str, Any] = await one.memo()
    attributes = one.typed_search_attributes
    return OpenReview(
        payment_id=attributes.get(keys.PAYMENT_ID) or "",
        customer_id=attributes.get(keys.CUSTOMER_ID),
        merchant_id=attributes.get(keys.MERCHANT_ID),
        fraud_score=float(memo["fraud_score"]),
        opened_at=one.start_time,
        due_at=one.start_time + timedelta(seconds=int(memo["timeout_s"])),
        on_timeout=str(memo["on_timeout"]),
        workflow_id=one.id,
        run_id=one.run_id,
    )
