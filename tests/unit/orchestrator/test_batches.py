"""Is a range read whole, and does a record that can't be read cost the others nothing?"""

from payment_pipeline.orchestrator import batches
from records import record


def test_what_cannot_be_decoded_costs_the_others_nothing() -> None:
    good = batches.decode(
        [record("payments.normalized", GOOD), record("payments.normalized", b"?")]
    )
    assert [event.event_id for event in good.events] == ["evt_1"]
    (refusal,) = good.undecodable
    assert (refusal.topic, refusal.partition, refusal.offset) == ("payments.normalized", 2, 7)


def test_an_event_that_comes_twice_is_scored_once() -> None:
    batch = batches.decode([record("payments.normalized", GOOD)] * 2)
    assert len(batch.events) == 2
    assert len(batch.distinct()) == 1


GOOD = b"""{
    "kind": "customer", "event_type": "customer.created", "provider": "stripe",
    "event_id": "evt_1", "provider_event_type": "customer.created",
    "occurred_at": "2026-01-15T12:00:00Z", "received_at": "2026-01-15T12:00:01Z",
    "livemode": false, "body_sha256": "%s", "normalizer_version": "1",
    "source": {"topic": "webhooks.stripe.customer", "partition": 0, "offset": 0}
}""" % (b"0" * 64)
