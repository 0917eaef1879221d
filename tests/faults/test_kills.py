"""kill -9 of one process after another under load: is anything that was acknowledged lost?

The client's ledger decides, not what the pipeline says of itself.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import commands
from conftest import own_stack
from local_stack import process
from payment_pipeline.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.faults]

EVENTS = 1500
RATE = 250
KILL_AFTER_ANSWERS = 400
"""The load is well under way, and most of it is still to come."""
LOAD_BEGINS_S = 60


@pytest.fixture(scope="module")
def victim() -> Iterator[Settings]:
    """A stack of this module's own: what shares one with others must not kill its processes."""
    with own_stack() as settings:
        yield settings


def answers(ledger: Path) -> list[int | str]:
    """What the client was answered so far; a half-written last line is not counted."""
    if not ledger.exists():
        return []
    lines = ledger.read_text().splitlines(keepends=True)
    return [json.loads(line)["answer"] for line in lines if line.endswith("\n")]


async def until(holds: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", ["gateway", "normalizer", "worker", "kafka"])
async def test_killed_under_load_nothing_is_lost(
    name: str, victim: Settings, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    words = ("--events", str(EVENTS), "--rate", str(RATE), "--seed", str(len(name)))
    load = commands.start(victim, "simulate", *words, "--ledger", str(ledger), "--json")
    try:
        await until(lambda: len(answers(ledger)) >= KILL_AFTER_ANSWERS, LOAD_BEGINS_S)
        killed = process.kill(victim, name)
        await process.wait_ready(victim, name, not_pid=killed)
        load.communicate(timeout=commands.CALL_S)
    finally:
        load.kill()
    acknowledged = answers(ledger).count(200)
    told = commands.audit(victim, ledger)
    assert told["ok"], told
    assert told["missing"] == told["duplicated"] == []
    assert acknowledged >= KILL_AFTER_ANSWERS
    assert told["stages"]["acknowledged"]["events"] <= acknowledged
