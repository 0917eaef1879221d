"""The faults of the simulator, and the expected destination of each delivery.

The tests compare the deliveries with pure parts of the pipeline that do not know the simulator: the
provider's signature check, its envelope reader and its normalizer.
"""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import pytest

from payment_pipeline.domain.failures import FailureClass, Rejected, Unmodelled
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.providers import Context, Envelope, Refusal, Verified, providers
from payment_pipeline.simulator.faults import Delivery, Destination, Fault, Faults
from payment_pipeline.simulator.malformed import MALFORMATIONS
from payment_pipeline.simulator.renderings import rendered
from payment_pipeline.simulator.signing import Forgery, forged, signature
from payment_pipeline.simulator.traffic import Period, deliveries, events

STRIPE: Final = providers()["stripe"]
CONTEXT: Final = Context(pseudonym_key=b"k" * 32, normalizer_version="test")
PERIOD: Final = Period(datetime(2026, 6, 1, tzinfo=UTC))
SECRET: Final = "whsec_unit"
NOW_S: Final = 1_780_000_000


@pytest.fixture(scope="module", params=[False, True], ids=["in order", "shuffled"])
def sent(request: pytest.FixtureRequest) -> list[Delivery]:
    faults = Faults(0.1, 0.05, 0.2, 0.05, 0.05, shuffle=request.param, second_endpoint=0.1)
    return list(deliveries(21, 4000, PERIOD, faults))


def destination_of(delivery: Delivery) -> tuple[Destination, FailureClass | None]:
    """The destination of a signed body, according to the pipeline's pure parts."""
    event = STRIPE.read(delivery.body)
    if not isinstance(event, Envelope):
        return Destination.QUARANTINE, FailureClass.UNPARSEABLE
    raw = RawEvent(
        provider="stripe",
        coordinates=Coordinates(topic="webhooks.stripe.charge", partition=0, offset=0),
        body=delivery.body,
        event_id=event.event_id,
        body_sha256=sha256(delivery.body).hexdigest(),
        received_at=datetime.now(UTC),
        verdict="verified:stripe:test",
        traceparent=None,
    )
    normalized = STRIPE.normalize(raw, CONTEXT)
    if isinstance(normalized, Rejected):
        return Destination.QUARANTINE, normalized.failure
    if isinstance(normalized, Unmodelled):
        return Destination.UNMODELLED, None
    return Destination.EVENTS, None


def test_every_delivery_has_the_right_destination(sent: list[Delivery]) -> None:
    for delivery in sent:
        if delivery.destination is Destination.REFUSED:
            continue
        found = destination_of(delivery)
        if delivery.fault is Fault.ALTERED:
            # Both bodies are valid events. Only the body written second conflicts.
            assert found == (Destination.EVENTS, None)
        else:
            assert found == (delivery.destination, delivery.failure), (
                delivery.detail,
                delivery.body,
            )


def test_every_malformation_and_every_forgery_is_sent(sent: list[Delivery]) -> None:
    details = {delivery.detail for delivery in sent}
    assert details >= {malformation.name for malformation in MALFORMATIONS}
    assert details >= {forgery.value for forgery in Forgery}


def test_fault_shares_are_relative_to_the_genuine_events(sent: list[Delivery]) -> None:
    counts = Counter(delivery.fault for delivery in sent)
    assert counts[None] + counts[Fault.LATE] == 4000
    assert 300 < counts[Fault.DUPLICATE] < 500
    assert 300 < counts[Fault.SECOND_ENDPOINT] < 500
    assert 700 < counts[Fault.MALFORMED] < 900
    assert 140 < counts[Fault.LATE] < 260
    assert 140 < counts[Fault.BAD_SIGNATURE] < 260
    assert 40 < counts[Fault.ALTERED] < 200


def identity_of(body: bytes) -> str | None:
    event = STRIPE.read(body)
    return event.identity_sha256 if isinstance(event, Envelope) else None


def test_only_altered_events_share_an_id_with_another_identity(sent: list[Delivery]) -> None:
    identities: dict[str, set[str | None]] = defaultdict(set)
    altered = set()
    for delivery in sent:
        if delivery.event_id is not None:
            identities[delivery.event_id].add(identity_of(delivery.body))
        if delivery.fault is Fault.ALTERED:
            altered.add(delivery.event_id)
    assert altered
    assert {event_id for event_id, found in identities.items() if len(found) > 1} == altered


def test_a_second_endpoint_gets_other_bytes_often_in_another_version(sent: list[Delivery]) -> None:
    first = {d.event_id: d.body for d in sent if d.fault in (None, Fault.LATE)}
    second = [d for d in sent if d.fault is Fault.SECOND_ENDPOINT]
    changed = Counter[bool]()
    for delivery in second:
        before, after = json.loads(first[delivery.event_id]), json.loads(delivery.body)
        assert before["pending_webhooks"] < after["pending_webhooks"]
        changed[before["api_version"] != after["api_version"]] += 1
    assert min(changed[True], changed[False]) > len(second) / 4
    assert any(
        json.loads(first[each.event_id])["data"] != json.loads(each.body)["data"] for each in second
    )


@pytest.mark.parametrize("livemode", [False, True])
def test_a_rendering_in_the_own_version_is_the_body(*, livemode: bool) -> None:
    for event in events(21, 2000, replace(PERIOD, livemode=livemode)):
        body = json.loads(event.body)
        same = rendered(event, body["api_version"], body["pending_webhooks"])
        assert same == event.body


def positions(sent: list[Delivery]) -> dict[str | None, int]:
    """The index of each genuine event's first delivery."""
    return {d.event_id: at for at, d in enumerate(sent) if d.fault in (None, Fault.LATE)}


def test_an_altered_body_comes_after_its_original(sent: list[Delivery]) -> None:
    first = positions(sent)
    for at, delivery in enumerate(sent):
        if delivery.fault is Fault.ALTERED:
            assert at > first[delivery.event_id]


def test_a_duplicate_comes_after_its_original_unless_shuffled() -> None:
    sent = list(deliveries(21, 2000, PERIOD, Faults(duplicates=0.2)))
    first = positions(sent)
    gaps = [at - first[d.event_id] for at, d in enumerate(sent) if d.fault is Fault.DUPLICATE]
    assert min(gaps) >= 1
    assert max(gaps) > 100


def test_late_events_come_last(sent: list[Delivery]) -> None:
    late = sum(delivery.fault is Fault.LATE for delivery in sent)
    assert late
    assert all(delivery.fault is Fault.LATE for delivery in sent[-late:])


def test_without_faults_only_the_genuine_events_are_sent_in_order() -> None:
    plain = list(deliveries(21, 500, PERIOD, Faults()))
    assert len(plain) == 500
    assert all(delivery.fault is None for delivery in plain)
    assert [d.created for d in plain] == sorted(d.created for d in plain)


def test_shuffling_keeps_every_event() -> None:
    shuffled = Faults(0.1, 0.05, 0.2, 0.05, 0.05, shuffle=True)
    sent = list(deliveries(21, 1000, PERIOD, shuffled))
    genuine = {d.body for d in sent if d.fault in (None, Fault.LATE)}
    assert genuine == {d.body for d in deliveries(21, 1000, PERIOD, Faults())}
    in_order = [d.created for d in sent if d.fault is None]
    assert in_order != sorted(in_order)


def test_the_signature_passes_the_providers_check() -> None:
    delivery = next(deliveries(21, 1, PERIOD, Faults()))
    header = signature(delivery.body, SECRET, NOW_S)
    assert STRIPE.verify(delivery.body, header, [SECRET], NOW_S, 300) == Verified(0)


@pytest.mark.parametrize(
    ("forgery", "refusal"),
    [
        (Forgery.WRONG_SECRET, Refusal.MISMATCH),
        (Forgery.TAMPERED_BODY, Refusal.MISMATCH),
        (Forgery.GARBLED, Refusal.MISMATCH),
        (Forgery.TOO_OLD, Refusal.TOO_OLD),
        (Forgery.TOO_NEW, Refusal.TOO_NEW),
        (Forgery.MISSING, Refusal.MISSING),
    ],
)
def test_each_forgery_is_refused_for_its_own_reason(forgery: Forgery, refusal: Refusal) -> None:
    header = forged(forgery, b"{}", SECRET, NOW_S)
    assert STRIPE.verify(b"{}", header, [SECRET], NOW_S, 300) is refusal
