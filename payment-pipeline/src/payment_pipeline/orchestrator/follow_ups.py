"""How does what a batch leads to begin? Reviews at once, recoveries when there is something to do.

Temporal is asked to start each, from an activity: as a child of its batch each would cost the
server more, for the parent's history tells of every child. A recovery has its first step when it
first looks at its payment: one that began at once, to sleep by a timer of its own, cost twice that.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from payment_pipeline.orchestrator import search_attributes
from payment_pipeline.orchestrator.messages import (
    MORE_TO_RESCORE,
    RESCORE_ID,
    FollowUps,
    RecoveryRequest,
    ReviewRequest,
)
from payment_pipeline.orchestrator.workflows.policies import TASK_TIMEOUT
from payment_pipeline.orchestrator.workflows.recovery import until_first_look

REVIEW: Final = "FraudReview", WorkflowIDReusePolicy.REJECT_DUPLICATE
"""A payment is judged once."""
RECOVERY: Final = "PaymentRecovery", WorkflowIDReusePolicy.ALLOW_DUPLICATE
"""A payment can fail again when its recovery has ended, and has new advice then. While one is open,
that one finds the new failure itself."""

STARTS_AT_ONCE_MAX: Final = 10
"""A larger burst would take the server from the batches behind."""


async def open_all(client: Client, follow_ups: FollowUps, task_queue: str) -> None:
    """Start what isn't there yet; return when Temporal has acknowledged all of it.

    Raises:
        RPCError: it has not; the same again starts only what is missing.
    """
    places = asyncio.Semaphore(STARTS_AT_ONCE_MAX)

    async def start(request: ReviewRequest | RecoveryRequest) -> None:
        async with places:
            await _open(client, request, task_queue)

    await asyncio.gather(*map(start, follow_ups.requests))
    if follow_ups.rescore:
        # The one that runs is told that there is more; where there is none, one starts.
        await client.start_workflow(
            "Rescore",
            id=RESCORE_ID,
            task_queue=task_queue,
            task_timeout=TASK_TIMEOUT,
            start_signal=MORE_TO_RESCORE,
        )


async def _open(client: Client, request: ReviewRequest | RecoveryRequest, task_queue: str) -> None:
    if isinstance(request, ReviewRequest):  # a person may answer, or ask, right away
        (name, reuse), delay = REVIEW, None
    else:
        (name, reuse), delay = RECOVERY, until_first_look(request.advice.due_at, datetime.now(UTC))
        request = replace(request, is_delayed=True)
    try:
        await client.start_workflow(
            name,
            request,
            id=request.workflow_id,
            task_queue=task_queue,
            id_reuse_policy=reuse,
            task_timeout=TASK_TIMEOUT,
            search_attributes=search_attributes.of(request.subject),
            memo=_memo(request),
            start_delay=delay,
        )
    except WorkflowAlreadyStartedError:
        return  # another event of the payment was first, and what it opened is open


def _memo(request: ReviewRequest | RecoveryRequest) -> dict[str, str | float]:
    """What a list shows without asking each workflow."""
    if isinstance(request, ReviewRequest):
        return {
            "event_id": request.subject.event_id,
            "fraud_score": request.fraud_score,
            "timeout_s": request.timeout_s,
            "on_timeout": request.on_timeout.value,
        }
    return {"event_id": request.subject.event_id, "strategy": request.advice.strategy}
