"""Finds the Temporal workflows of an event or a payment, with their links."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from payment_pipeline.adapters import temporal
from payment_pipeline.domain import ranges
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.search_attributes import OUTCOME, PAYMENT_ID
from payment_pipeline.settings import Settings

RUNS_MAX: Final = 100
"""Limit for the reviews and recoveries of one payment, which normally has one of each."""
RANGES_MAX: Final = 1_000
"""How many of the newest ranges of a partition are searched for the range of a record."""
_OUTCOME: Final = SearchAttributeKey.for_keyword(OUTCOME)


class Run(NamedTuple):
    """A workflow."""

    id: str
    url: str
    """In the Temporal UI."""
    type: str | None = None
    """`None`, like all fields below, if Temporal has deleted the workflow after its retention."""
    status: str | None = None
    outcome: str | None = None
    """The search attribute `Outcome` of a review or a recovery."""
    started_at: datetime | None = None
    closed_at: datetime | None = None


class Runs:
    """Looks up workflows. Without Temporal a trace has no workflows, but is still useful."""

    def __init__(self, settings: Settings, client: Client | None, silence: str | None) -> None:
        self.silence = silence
        """Why Temporal does not answer; `None` if it does."""
        self._settings = settings
        self._client = client

    async def of(self, workflow_id: str) -> Run:
        """Return a workflow by its id."""
        forgotten = Run(workflow_id, self._url(workflow_id))
        if self._client is None:
            return forgotten
        try:
            return self._run(await self._client.get_workflow_handle(workflow_id).describe())
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                self._lost(error)
            return forgotten

    async def of_payment(self, payment_id: str) -> list[Run]:
        """Return the reviews and recoveries of a payment, the newest first."""
        literal = payment_id.replace("'", "''")
        return [run async for run in self._list(f"{PAYMENT_ID} = '{literal}'", RUNS_MAX)]

    async def of_record(self, topic: str, partition: int, offset: int) -> Run | None:
        """Return the workflow of the range that holds a record, if it is among the newest."""
        prefix = ranges.prefix(topic, partition)
        async for run in self._list(f"WorkflowId STARTS_WITH '{prefix}'", RANGES_MAX):
            found = ranges.range_of(run.id)
            if found and found.start <= offset < found.end:
                return run
        return None

    async def _list(self, query: str, limit: int) -> AsyncIterator[Run]:
        if self._client is None:
            return
        try:
            async for found in self._client.list_workflows(query, limit=limit):
                yield self._run(found)
        except RPCError as error:
            self._lost(error)

    def _run(self, found: WorkflowExecution) -> Run:
        return Run(
            found.id,
            self._url(found.id),
            found.workflow_type,
            found.status.name.lower() if found.status else None,
            found.typed_search_attributes.get(_OUTCOME),
            found.start_time,
            found.close_time,
        )

    def _url(self, workflow_id: str) -> str:
        namespace = quote(self._settings.temporal_namespace, safe="")
        name = quote(workflow_id, safe="")
        return f"{self._settings.temporal_ui}/namespaces/{namespace}/workflows/{name}"

    def _lost(self, error: RPCError) -> None:
        self._client, self.silence = None, f"Temporal: {error.message}"


async def connected(settings: Settings) -> Runs:
    """Connect to Temporal. If it does not answer, workflows have their URLs only."""
    try:
        return Runs(settings, await temporal.connect(settings), None)
    except UserError as refusal:
        return Runs(settings, None, str(refusal))
