"""Bronze returns to the scorer the events that were written, unchanged."""

import asyncpg
import pytest

from payment_pipeline.bronze import bronze_reader, writer
from payment_pipeline.bronze.rows import to_event
from payment_pipeline.domain.features import Entity, EntityKey
from support.bronze_events import events, folded, scored, unscored

pytestmark = pytest.mark.stack


async def test_states_are_those_asked_for_that_are_known(bronze: asyncpg.Pool) -> None:
    await writer.write(bronze, [scored(event) for event in events(200)], "wf")
    expected = folded(list(events(200)))
    some = sorted(expected)[::2]
    unknown = EntityKey("stripe", Entity.CARD, "never seen")
    assert await bronze_reader.states_of(bronze, [*some, unknown]) == {
        key: expected[key] for key in some
    }
    assert await bronze_reader.states_of(bronze, []) == {}


async def test_every_event_comes_back_equal(bronze: asyncpg.Pool) -> None:
    await writer.write(bronze, [scored(event) for event in events(200)], "wf")
    rows = await bronze.fetch("SELECT * FROM payment_events")
    assert {row["event_id"]: to_event(row) for row in rows} == {
        event.event_id: event for event in events(200)
    }


async def test_what_waits_for_scores_comes_oldest_first(bronze: asyncpg.Pool) -> None:
    given = list(events(60))
    await writer.write(bronze, [unscored(event) for event in given[:30]], "wf")
    await writer.write(bronze, [scored(event) for event in given[30:40]], "wf")
    await writer.write(bronze, [unscored(event) for event in given[40:]], "wf")
    waiting = await bronze_reader.unscored(bronze, limit=40)
    assert {event.event_id for event in waiting[:30]} == {e.event_id for e in given[:30]}
    assert {event.event_id for event in waiting[30:]} <= {e.event_id for e in given[40:]}
    assert len(waiting) == 40
