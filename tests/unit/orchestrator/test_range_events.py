"""A bad record, or a defect in our code, affects one event of a range and no other."""

from collections.abc import Sequence

import asyncpg
import pytest

from payment_pipeline.bronze import writer
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.bronze.writer import Written
from payment_pipeline.orchestrator.worker import range_events
from payment_pipeline.orchestrator.worker.range_events import write_isolated
from support.bronze_events import events, scored
from support.records import record


def test_a_record_that_cannot_be_decoded_is_refused_alone() -> None:
    good = range_events.decode(
        [record("payments.normalized", GOOD), record("payments.normalized", b"?")]
    )
    assert [event.event_id for event in good.events] == ["evt_1"]
    (refusal,) = good.undecodable
    assert (refusal.topic, refusal.partition, refusal.offset) == ("payments.normalized", 2, 7)


def test_a_duplicate_event_is_scored_once() -> None:
    batch = range_events.decode([record("payments.normalized", GOOD)] * 2)
    assert len(batch.events) == 2
    assert len(batch.distinct()) == 1


GOOD = b"""{
    "kind": "customer", "event_type": "customer.created", "provider": "stripe",
    "event_id": "evt_1", "provider_event_type": "customer.created",
    "occurred_at": "2026-01-15T12:00:00Z", "received_at": "2026-01-15T12:00:01Z",
    "livemode": false, "body_sha256": "%s", "normalizer_version": "1",
    "source": {"topic": "webhooks.stripe.customer", "partition": 0, "offset": 0}
}""" % (b"0" * 64)


ROWS = [scored(event) for event in events(20)]


def fail_on(monkeypatch: pytest.MonkeyPatch, bad: ScoredEvent, failure: Exception) -> None:
    async def write(_: object, rows: Sequence[ScoredEvent], __: str) -> Written:
        if bad in rows:
            raise failure
        return Written(list(rows), [], [], [])

    monkeypatch.setattr(writer, "write", write)


async def test_an_event_that_makes_our_code_fail_is_refused_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_on(monkeypatch, ROWS[7], TypeError("a card number"))
    written = await write_isolated(None, ROWS, "w")
    assert written.inserted == [*ROWS[:7], *ROWS[8:]]
    assert [(one.row, one.reason) for one in written.refused] == [(ROWS[7], "TypeError")]


@pytest.mark.parametrize("failure", [OSError(), asyncpg.InterfaceError("connection is closed")])
async def test_an_error_of_the_store_refuses_no_event(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    fail_on(monkeypatch, ROWS[7], failure)
    with pytest.raises(type(failure)):
        await write_isolated(None, ROWS, "w")
