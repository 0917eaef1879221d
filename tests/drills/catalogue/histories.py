"""Drill 11: stored workflow histories replayed on today's code."""

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
from payment_pipeline.simulator.run import Faults
from support.repository import TESTS
from support.sandbox import SANDBOX

STORED: Final = TESTS / "replay/histories"
EVENTS_A_ROUND: Final = 300
TASK_COMPLETED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
LIVE_MAX: Final = 500
"""Histories of this stack's own workflows that are replayed too."""


def run(context: DrillContext) -> Findings:
    """Replay what is stored, and what the stack has just run."""
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
            findings.require(False, f"{each.workflow_id} doesn't replay: {broken}")
    findings.figures = {"stored_histories": len(stored), "live_histories": len(live)}
    findings.tries = len(stored) + len(live)
    findings.control_failed = await breaks(history(STORED / "range_in_one_task.json"))
    context.progress("control, a workflow whose steps changed places: replaying it fails")


def history(path: Path) -> WorkflowHistory:
    """A stored history."""
    return WorkflowHistory.from_json(path.stem, path.read_text())


async def _live(context: DrillContext) -> AsyncIterator[WorkflowHistory]:
    client = await temporal.connect(context.settings)
    async for each in client.list_workflows(
        f"StartTime >= '{context.began_at.isoformat()}'", limit=LIVE_MAX
    ):
        handle = client.get_workflow_handle(each.id, run_id=each.run_id)
        fetched = await handle.fetch_history()
        # Replaying one that no worker has had yet would wait for its first task for ever.
        if any(event.event_type == TASK_COMPLETED for event in fetched.events):
            yield fetched


async def breaks(stored: WorkflowHistory) -> bool:
    """Whether replaying a range's history on the broken workflow is noticed."""
    try:
        await Replayer(workflows=[PersistsBeforeItScores]).replay_workflow(stored)
    except NondeterminismError:
        return True
    return False


@workflow.defn(name="IngestRange", sandboxed=False)
class PersistsBeforeItScores:
    """The mistake that a change could make: the same steps, in another order."""

    @workflow.run
    async def run(self, batch: OffsetRange) -> RangeOutcome:
        """Run it."""
        timeout = timedelta(seconds=60)
        persisted: Persisted = await workflow.execute_activity(
            PERSIST_RANGE, args=[batch, b""], result_type=Persisted, start_to_close_timeout=timeout
        )
        await workflow.execute_activity(SCORE_RANGE, batch, start_to_close_timeout=timeout)
        return persisted.outcome


DRILL = Drill(
    number=11,
    promise="Workflows that began under yesterday's code go on under today's.",
    needs=("gateway", "normalizer", "dispatcher", "worker", "inference"),
    run=run,
    full_rounds=10,
)
