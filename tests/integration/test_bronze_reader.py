"""Does bronze give back what was written, by the keys that people and the scorer have?"""

import asyncpg
import pytest

from bronze_events import events, folded, scored
from payment_pipeline.bronze import reader, writer
from payment_pipeline.bronze.rows import to_event
from payment_pipeline.domain.features import Entity, EntityKey

pytestmark = pytest.mark.stack


async def test_states_are_those_asked_for_that_are_known(bronze: asyncpg.Pool) -> None:
    await writer.write(bronze, [scored(event) for event in events(200)], "wf")
    expected = folded(list(events(200)))
    some = sorted(expected)[::2]
    unknown = EntityKey("stripe", Entity.CARD, "never seen")
    assert await reader.feature_states(bronze, [*some, unknown]) == {
        key: expected[key] for key in some
    }
    assert await reader.feature_states(bronze, []) == {}


async def test_every_event_comes_back_equal(bronze: asyncpg.Pool) -> None:
    await writer.write(bronze, [scored(event) for event in events(200)], "wf")
    rows = await bronze.fetch("SELECT * FROM payment_events")
    assert {row["event_id"]: to_event(row) for row in rows} == {
        event.event_id: event for event in events(200)
    }


async def test_payment_is_told_in_order(bronze: asyncpg.Pool) -> None:
    await writer.write(bronze, [scored(event) for event in events(200)], "wf")
    payment_id = next(event.payment_id for event in events(200) if event.payment_id)
    rows = await reader.payment(bronze, payment_id)
    assert {row["event_id"] for row in rows} == {
        event.event_id for event in events(200) if event.payment_id == payment_id
    }
    assert [row["occurred_at"] for row in rows] == sorted(row["occurred_at"] for row in rows)


async def test_unknown_ids_are_nothing(bronze: asyncpg.Pool) -> None:
    assert await reader.event(bronze, "evt_none") is None
    assert await reader.payment(bronze, "pi_none") == []
