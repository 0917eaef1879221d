"""Drill 11: replay of stored workflow histories on the current code."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from drills.background_load import send_chunk
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events
from drills.findings import Findings
from payment_pipeline.adapters import temporal
from payment_pipeline.orchestrator.messages import (
    PERSIST_RANGE,
    SCORE_RANGE,
    OffsetRange,
    Persisted,
    RangeOutcome,
)
from payment_pipeline.orchestrator.worker.assembly import WORKFLOWS
from payment_pipeline.simulator.simulation_run import Faults
from support.repository import TESTS
from support.sandbox import SANDBOX

STORED: Final = TESTS / "replay/histories"
EVENTS_A_ROUND: Final = 300
TASK_COMPLETED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
LIVE_MAX: Final = 500
"""At most this many histories of the stack's own workflows are replayed too."""


def run(context: DrillContext) -> Findings:
    """Replay the stored histories, and the histories of workflows that the stack has just run."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    send_chunk(
        context,
        ledger,
        context.rng.randrange(2**31),
        EVENTS_A_ROUND * context.rounds,
        faults=Faults(malformed=0.05),
    )
    account_for_events(context, ledger, findings)
    asyncio.run(_drill(context, findings))
    return findings


async def _drill(context: DrillContext, findings: Findings) -> None:
    stored = [history(path) for path in sorted(STORED.glob("*.json"))]
    live = [each async for each in _live(context)]
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=SANDBOX)
    for each in (*stored, *live):
        try:
            await replayer.replay_workflow(each)
        except NondeterminismError as broken:
            findings.require(False, f"the history of {each.workflow_id} does not replay: {broken}")
    findings.figures = {"stored_histories": len(stored), "live_histories": len(live)}
    findings.tries = len(stored) + len(live)
    findings.control_failed = await breaks(history(STORED / "range_in_one_task.json"))
    context.progress("control, a workflow with two steps swapped: the replay fails")


def history(path: Path) -> WorkflowHistory:
    """Read a stored history."""
    return WorkflowHistory.from_json(path.stem, path.read_text())


async def _live(context: DrillContext) -> AsyncIterator[WorkflowHistory]:
    client = await temporal.connect(context.settings)
    async for each in client.list_workflows(
        f"StartTime >= '{context.began_at.isoformat()}'", limit=LIVE_MAX
    ):
        handle = client.get_workflow_handle(each.id, run_id=each.run_id)
        fetched = await handle.fetch_history()
        # The replay of a workflow that no worker has run yet would wait forever.
        if any(event.event_type == TASK_COMPLETED for event in fetched.events):
            yield fetched


async def breaks(stored: WorkflowHistory) -> bool:
    """Return whether the replay of a range's history on the wrong workflow fails."""
    try:
        await Replayer(workflows=[PersistsBeforeItScores]).replay_workflow(stored)
    except NondeterminismError:
        return True
    return False


@workflow.defn(name="IngestRange", sandboxed=False)
class PersistsBeforeItScores:
    """A wrong version of the workflow: the same steps in another order."""

    @workflow.run
    async def run(self, batch: OffsetRange) -> RangeOutcome:
        """Persist first, then score."""
        timeout = timedelta(seconds=60)
        persisted: Persisted = await workflow.execute_activity(
            PERSIST_RANGE, args=[batch, b""], result_type=Persisted, start_to_close_timeout=timeout
        )
        await workflow.execute_activity(SCORE_RANGE, batch, start_to_close_timeout=timeout)
        return persisted.outcome


DRILL = Drill(
    number=11,
    promise="Workflows that an older version started continue on the current code.",
    needs=("gateway", "normalizer", "dispatcher", "worker", "inference"),
    run=run,
    full_rounds=10,
)
