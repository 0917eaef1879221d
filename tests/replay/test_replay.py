"""Stored histories replay on today's code, and a broken workflow is noticed."""

import json
from pathlib import Path

import pytest
from temporalio.worker import Replayer

from drills.catalogue.histories import STORED, breaks, history
from payment_pipeline.orchestrator.worker.assembly import WORKFLOWS
from support.sandbox import SANDBOX

HISTORIES = sorted(STORED.glob("*.json"))


def kind(path: Path) -> str:
    first = json.loads(path.read_text())["events"][0]
    name: str = first["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
    return name


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_stored_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=SANDBOX)
    await replayer.replay_workflow(history(path))


def test_every_workflow_has_a_history() -> None:
    assert {kind(path) for path in HISTORIES} == {each.__name__ for each in WORKFLOWS}


async def test_replaying_a_broken_workflow_fails() -> None:
    (stored,) = (path for path in HISTORIES if path.stem == "range_in_one_task")
    assert await breaks(history(stored))
