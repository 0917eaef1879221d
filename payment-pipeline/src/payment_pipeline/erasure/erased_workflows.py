"""Finds the workflows that name a person, and deletes them from Temporal.

Reviews and recoveries have the customer's id as a search attribute. The workflow of the range that
opened them has it in its history. A workflow is deleted with its history and its visibility record,
because Temporal can't change them. A review that is still open ends without an answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from time import monotonic
from typing import Final, NamedTuple

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from payment_pipeline.adapters import temporal_payloads
from payment_pipeline.domain.search_attributes import CUSTOMER_ID

from .person import Person

FOLLOW_UPS: Final = frozenset({"FraudReview", "PaymentRecovery"})
"""Workflows about one payment, which are deleted even while they run."""
RESCORE: Final = "Rescore"
IDS_A_QUERY: Final = 50
GONE_WITHIN_S: Final = 120.0
"""Temporal deletes from a queue, which takes over 30 s on a busy machine."""
ASK_AGAIN_S: Final = 0.2

Opens = Callable[[Payload], Payload]


class Run(NamedTuple):
    """One run of a workflow."""

    workflow_id: str
    run_id: str
    may_go: bool
    """True if the run is closed, or about nobody else."""


async def find(client: Client, person: Person, progress: Callable[[str], None]) -> list[Run]:
    """Return the runs whose history or search attributes name the person.

    Raises:
        RPCError: Temporal does not answer.
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
    """Delete the runs that may go, and wait until they are gone. A missing run is no error.

    Raises:
        RPCError: Temporal does not answer.
        TimeoutError: Temporal accepted the deletion but did not finish it in time.
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
    """Yield the workflows that may name the person: reviews, recoveries, ranges, late scores."""
    queries = [f"{CUSTOMER_ID} = {_quoted(each)}" for each in person.customer_ids]
    queries.append(f"WorkflowType = '{RESCORE}'")
    ids = [*map(_quoted, person.workflows)]
    for start in range(0, len(ids), IDS_A_QUERY):
        listed = ", ".join(ids[start : start + IDS_A_QUERY])
        queries.append(f"WorkflowId IN ({listed})")
    for query in queries:
        async for one in client.list_workflows(query):
            yield one


async def _names(client: Client, one: WorkflowExecution, person: Person) -> bool:
    opened = partial(temporal_payloads.readable, client)
    if _is_named_in(one.raw_info, person, opened):
        return True
    handle = client.get_workflow_handle(one.id, run_id=one.run_id)
    try:
        async for event in handle.fetch_history_events():
            if _is_named_in(event, person, opened):
                return True
    except RPCError as error:
        if (
            error.status is not RPCStatusCode.NOT_FOUND
        ):  # Temporal has just deleted it after its retention
            raise
    return False


def _is_named_in(message: Message, person: Person, opened: Opens = lambda found: found) -> bool:
    """Tell whether a field of a message names the person. `opened` decrypts a payload.

    The fields are searched one by one, because in the binary form the bytes around a text may look
    like letters.
    """
    if isinstance(message, Payload):
        message = opened(message)
    for _, value in message.ListFields():
        # A map has its messages as values; any other repeated field can be iterated as it is.
        several = value.values() if isinstance(value, Mapping) else value
        for each in several if _is_repeated(several) else (value,):
            if isinstance(each, Message):
                named = _is_named_in(each, person, opened)
            elif isinstance(each, bytes):
                named = person.is_named_in(each)
            else:
                named = isinstance(each, str) and person.is_named_in_text(each)
            if named:
                return True
    return False


def _is_repeated(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Message)


def _quoted(text: str) -> str:
    """Return a text as a literal of Temporal's queries."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


async def _exists(client: Client, run: Run) -> bool:
    try:
        await client.get_workflow_handle(run.workflow_id, run_id=run.run_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
