"""Which workflows name the person, and how are they taken out of Temporal?

Reviews and recoveries carry the customer's id so that they are found by it; the range that opened
one has it in its history. A workflow is deleted whole, with its history and its visibility record:
Temporal can't change what it has written. A review that is still open ends without an answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Final, NamedTuple

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from payment_pipeline.domain.search_attributes import CUSTOMER_ID

from .person import Person

FOLLOW_UPS: Final = frozenset({"FraudReview", "PaymentRecovery"})
"""About one payment: they end with the person. Any other that runs serves others too."""
RESCORE: Final = "Rescore"
IDS_A_QUERY: Final = 50
GONE_WITHIN_S: Final = 120.0
"""Temporal deletes in a queue, behind what it has yet to do: over 30 s on a busy machine."""
ASK_AGAIN_S: Final = 0.2


class Run(NamedTuple):
    """One run of a workflow."""

    workflow_id: str
    run_id: str
    may_go: bool
    """It is closed, or about nobody else."""


async def find(client: Client, person: Person, progress: Callable[[str], None]) -> list[Run]:
    """The runs whose history or search attributes name the person.

    Raises:
        RPCError: Temporal doesn't answer.
    """
    progress("searching Temporal")
    found = {}
    async for one in _candidates(client, person):
        if (one.id, one.run_id) not in found and await _names(client, one, person):
            closed = one.status is not WorkflowExecutionStatus.RUNNING
            run = Run(one.id, one.run_id, closed or one.workflow_type in FOLLOW_UPS)
            found[one.id, one.run_id] = run
    return list(found.values())


async def delete(client: Client, runs: list[Run]) -> None:
    """Delete those that may go, and wait until Temporal has; one that is gone is no mistake.

    Raises:
        RPCError: Temporal doesn't answer.
        TimeoutError: it has accepted the deletion and not done it.
    """
    going = [run for run in runs if run.may_go]
    for run in going:
        execution = Execution(workflow_id=run.workflow_id, run_id=run.run_id)
        request = DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=execution
        )
        try:
            await client.workflow_service.delete_workflow_execution(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
    give_up_at = monotonic() + GONE_WITHIN_S
    for run in going:
        while await _exists(client, run):
            if monotonic() > give_up_at:
                raise TimeoutError
            await asyncio.sleep(ASK_AGAIN_S)


async def _candidates(client: Client, person: Person) -> AsyncIterator[WorkflowExecution]:
    """What could name them: their own, the ranges that wrote their rows, and late scores."""
    queries = [f"{CUSTOMER_ID} = '{person.customer_id}'", f"WorkflowType = '{RESCORE}'"]
    ids = [workflow.replace("'", "''") for workflow in person.workflows]
    for start in range(0, len(ids), IDS_A_QUERY):
        listed = ", ".join(f"'{each}'" for each in ids[start : start + IDS_A_QUERY])
        queries.append(f"WorkflowId IN ({listed})")
    for query in queries:
        async for one in client.list_workflows(query):
            yield one


async def _names(client: Client, one: WorkflowExecution, person: Person) -> bool:
    if _is_named_in(one.raw_info, person):
        return True
    handle = client.get_workflow_handle(one.id, run_id=one.run_id)
    try:
        async for event in handle.fetch_history_events():
            if _is_named_in(event, person):
                return True
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # its retention has just passed
            raise
    return False


def _is_named_in(message: Message, person: Person) -> bool:
    """On the wire a text stands between its length and the next tag, which may look like letters.

    So what may name the person is judged as text, where each value is quoted.
    """
    if person.customer_id.encode() not in message.SerializeToString():
        return False
    return person.is_named_in(str(message).encode())


async def _exists(client: Client, run: Run) -> bool:
    try:
        await client.get_workflow_handle(run.workflow_id, run_id=run.run_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
