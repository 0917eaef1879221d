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

from drills.findings import Findings
from drills.ground import Drill, Ground
from drills.ledger import account
from drills.load import send_chunk
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


def run(ground: Ground) -> Findings:
    """Replay what is stored, and what the stack has just run."""
    found = Findings()
    ledger = ground.folder / "ledger.jsonl"
    send_chunk(
        ground,
        ledger,
        ground.dice.randrange(2**31),
        EVENTS_A_ROUND * ground.rounds,
        faults=Faults(malformed=0.05),
    )
    account(ground, ledger, found)
    asyncio.run(_drill(ground, found))
    return found


async def _drill(ground: Ground, found: Findings) -> None:
    stored = [history(path) for path in sorted(STORED.glob("*.json"))]
    live = [each async for each in _live(ground)]
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=SANDBOX)
    for each in (*stored, *live):
        try:
            await replayer.replay_workflow(each)
        except NondeterminismError as broken:
            found.require(False, f"{each.workflow_id} doesn't replay: {broken}")
    found.figures = {"stored_histories": len(stored), "live_histories": len(live)}
    found.tries = len(stored) + len(live)
    found.control_failed = await breaks(history(STORED / "range_in_one_task.json"))
    ground.say("control, a workflow whose steps changed places: replaying it fails")


def history(path: Path) -> WorkflowHistory:
    """A stored history."""
    return WorkflowHistory.from_json(path.stem, path.read_text())


async def _live(ground: Ground) -> AsyncIterator[WorkflowHistory]:
    client = await temporal.connect(ground.settings)
    async for each in client.list_workflows(
        f"StartTime >= '{ground.began_at.isoformat()}'", limit=LIVE_MAX
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
