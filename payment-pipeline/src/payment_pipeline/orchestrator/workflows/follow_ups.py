"""How does a workflow have what its batch leads to begun? By an activity that starts it.

Batches that were under way before `BY_ACTIVITY` go on to start children of their own.
"""

import asyncio
from typing import Final

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from payment_pipeline.orchestrator import search_attributes
from payment_pipeline.orchestrator.messages import (
    OPEN_FOLLOW_UPS,
    FollowUps,
    RecoveryRequest,
    ReviewRequest,
)
from payment_pipeline.orchestrator.workflows.policies import BATCH, TASK_TIMEOUT

BY_ACTIVITY: Final = "follow-ups by an activity"
RESCORE_ID: Final = "rescore"
MORE_TO_RESCORE: Final = "more"
RESCORE_TRIES_MAX: Final = 10

CHILDREN_AT_ONCE_MAX: Final = 10


async def open_follow_ups(follow_ups: FollowUps) -> None:
    """Start what isn't there yet; return when Temporal has acknowledged all of it."""
    if not follow_ups:
        return
    if workflow.patched(BY_ACTIVITY):
        await workflow.execute_activity(OPEN_FOLLOW_UPS, follow_ups, **BATCH)
        return
    requests = follow_ups.requests
    for at in range(0, len(requests), CHILDREN_AT_ONCE_MAX):
        await asyncio.gather(*map(_open, requests[at : at + CHILDREN_AT_ONCE_MAX]))
    if follow_ups.rescore:
        await _wake_rescore()


REVIEW: Final = "FraudReview", WorkflowIDReusePolicy.REJECT_DUPLICATE
"""A payment is judged once."""
RECOVERY: Final = "PaymentRecovery", WorkflowIDReusePolicy.ALLOW_DUPLICATE
"""A payment can fail again when its recovery has ended, and has new advice then. While one is open,
that one finds the new failure itself."""


async def _open(request: ReviewRequest | RecoveryRequest) -> None:
    name, reuse = REVIEW if isinstance(request, ReviewRequest) else RECOVERY
    try:
        await workflow.start_child_workflow(
            name,
            request,
            id=request.workflow_id,
            id_reuse_policy=reuse,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            task_timeout=TASK_TIMEOUT,
            search_attributes=search_attributes.of(request.subject),
            memo=memo(request),
        )
    except WorkflowAlreadyStartedError:
        return  # another event of the payment was first, and what it opened is open


def memo(request: ReviewRequest | RecoveryRequest) -> dict[str, str | float]:
    """What a list shows without asking each workflow."""
    if isinstance(request, ReviewRequest):
        return {
            "event_id": request.subject.event_id,
            "fraud_score": request.fraud_score,
            "timeout_s": request.timeout_s,
            "on_timeout": request.on_timeout.value,
        }
    return {"event_id": request.subject.event_id, "strategy": request.advice.strategy}


async def _wake_rescore() -> None:
    """Start the one `Rescore`, or tell the running one that there is more.

    It may end between the two: then there is one to start again.
    """
    for _ in range(RESCORE_TRIES_MAX):
        try:
            await workflow.start_child_workflow(
                "Rescore",
                id=RESCORE_ID,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                task_timeout=TASK_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            running = workflow.get_external_workflow_handle(RESCORE_ID)
            try:
                await running.signal(MORE_TO_RESCORE)
            except ApplicationError:
                continue
        return
    raise ApplicationError("rescore neither starts nor hears")
