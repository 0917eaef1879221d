"""Whether yesterday's workflows go on under today's code, and whether we would notice if not."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from payment_pipeline.orchestrator.messages import (
    PERSIST_RANGE,
    SCORE_RANGE,
    OffsetRange,
    Persisted,
    RangeOutcome,
)
from payment_pipeline.orchestrator.worker import RUNNER, WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


def kind(path: Path) -> str:
    first = json.loads(path.read_text())["events"][0]
    name: str = first["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
    return name


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_stored_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER)
    await replayer.replay_workflow(history(path))


def test_every_workflow_has_a_history() -> None:
    assert {kind(path) for path in HISTORIES} == {each.__name__ for each in WORKFLOWS}


@workflow.defn(name="IngestRange", sandboxed=False)
class PersistsBeforeItScores:
    """The mistake that a change could make: the same steps, in another order."""

    @workflow.run
    async def run(self, batch: OffsetRange) -> RangeOutcome:
        timeout = timedelta(seconds=60)
        persisted: Persisted = await workflow.execute_activity(
            PERSIST_RANGE, args=[batch, b""], result_type=Persisted, start_to_close_timeout=timeout
        )
        await workflow.execute_activity(SCORE_RANGE, batch, start_to_close_timeout=timeout)
        return persisted.outcome


async def test_a_broken_workflow_is_caught() -> None:
    (stored,) = (path for path in HISTORIES if path.stem == "range_written")
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=[PersistsBeforeItScores]).replay_workflow(history(stored))
