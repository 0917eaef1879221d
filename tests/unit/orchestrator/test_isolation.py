"""Whether a defect of ours costs one event its row, and a store that is down costs none."""

from collections.abc import Sequence

import asyncpg
import pytest

from bronze_events import events, scored
from payment_pipeline.bronze import writer
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.bronze.writer import Written
from payment_pipeline.orchestrator.isolation import write_isolated

ROWS = [scored(event) for event in events(20)]


def chokes_on(monkeypatch: pytest.MonkeyPatch, bad: ScoredEvent, failure: Exception) -> None:
    async def write(_: object, rows: Sequence[ScoredEvent], __: str) -> Written:
        if bad in rows:
            raise failure
        return Written(list(rows), [], [], [])

    monkeypatch.setattr(writer, "write", write)


async def test_the_one_event_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    chokes_on(monkeypatch, ROWS[7], TypeError("a card number"))
    written = await write_isolated(None, ROWS, "w")
    assert written.inserted == [*ROWS[:7], *ROWS[8:]]
    assert [(one.row, one.reason) for one in written.refused] == [(ROWS[7], "TypeError")]


@pytest.mark.parametrize("failure", [OSError(), asyncpg.InterfaceError("connection is closed")])
async def test_a_store_that_is_down_is_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    chokes_on(monkeypatch, ROWS[7], failure)
    with pytest.raises(type(failure)):
        await write_isolated(None, ROWS, "w")
