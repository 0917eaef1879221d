"""The topic, the key and the control total of Stripe's bodies."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.providers import ControlTotal, Envelope, Unparseable, Unsupported
from payment_pipeline.providers.stripe import PROVIDER
from payment_pipeline.providers.stripe.envelope import RESOURCES, control_total, read

HERE = Path(__file__).parent
EVENT_TYPES = (HERE / "stripe_event_types.txt").read_text().split()
OBJECTS: dict[str, Any] = json.loads((HERE / "stripe_objects.json").read_text())["resources"]


def event(subject: object, event_type: str = "charge.succeeded", **changes: object) -> bytes:
    fields = {
        "id": "evt_1",
        "object": "event",
        "type": event_type,
        "created": 1_700_000_000,
        "data": {"object": subject},
    }
    return json.dumps({**fields, **changes}).encode()


def envelope(body: bytes) -> Envelope:
    found = read(body)
    assert isinstance(found, Envelope)
    return found


def test_all_routing_fields_are_read() -> None:
    body = event({"id": "ch_1", "payment_intent": "pi_1"}, account="acct_1")
    found = envelope(body)
    assert re.fullmatch("[0-9a-f]{64}", found.identity_sha256 or "")
    assert found._replace(identity_sha256=None) == Envelope(
        event_id="evt_1",
        event_type="charge.succeeded",
        resource="charge",
        key="pi_1",
        occurred_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        account="acct_1",
    )


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_type_has_a_resource(event_type: str) -> None:
    assert envelope(event({"id": "x_1"}, event_type)).resource in RESOURCES


@pytest.mark.parametrize(
    ("event_type", "resource"),
    [
        ("payment_intent.succeeded", "payment_intent"),
        ("charge.refunded", "charge"),
        ("charge.refund.updated", "refund"),
        ("charge.dispute.closed", "dispute"),
        ("refund.failed", "refund"),
        ("payout.paid", "payout"),
        ("invoice.upcoming", "invoice"),
        ("invoiceitem.created", "other"),
        ("invoice_payment.paid", "other"),
        ("customer.subscription.deleted", "subscription"),
        ("customer.source.created", "customer"),
        ("radar.early_fraud_warning.created", "early_fraud_warning"),
        ("review.opened", "review"),
        ("setup_intent.created", "other"),
        ("what.comes.next", "other"),
    ],
)
def test_the_type_decides_the_resource(event_type: str, resource: str) -> None:
    assert envelope(event({"id": "x_1"}, event_type)).resource == resource


@pytest.mark.parametrize(
    ("event_type", "subject", "key"),
    [
        ("payment_intent.created", {"id": "pi_1", "latest_charge": "ch_1"}, "pi_1"),
        ("charge.succeeded", {"id": "ch_1", "payment_intent": "pi_1"}, "pi_1"),
        ("charge.succeeded", {"id": "ch_1", "payment_intent": {"id": "pi_1"}}, "pi_1"),
        ("charge.succeeded", {"id": "ch_1", "payment_intent": None}, "ch_1"),
        ("charge.dispute.created", {"id": "dp_1", "charge": "ch_1"}, "ch_1"),
        ("charge.dispute.created", {"id": "dp_1", "charge": {"id": "ch_1"}}, "ch_1"),
        ("charge.dispute.created", {"id": "dp_1", "charge": "c", "payment_intent": "pi_1"}, "pi_1"),
        ("refund.created", {"id": "re_1", "payment_intent": "pi_1", "charge": "ch_1"}, "pi_1"),
        ("review.opened", {"id": "prv_1", "payment_intent": "pi_1"}, "pi_1"),
        ("radar.early_fraud_warning.created", {"id": "issfr_1", "charge": "ch_1"}, "ch_1"),
        # Before the basil versions, and since.
        ("invoice.paid", {"id": "in_1", "payment_intent": "pi_1", "subscription": "s"}, "pi_1"),
        (
            "invoice.paid",
            {"id": "in_1", "payments": {"data": [{"payment": {"payment_intent": "pi_1"}}]}},
            "pi_1",
        ),
        ("invoice.created", {"id": "in_1", "subscription": "sub_1", "customer": "cus_1"}, "sub_1"),
        (
            "invoice.created",
            {"id": "in_1", "parent": {"subscription_details": {"subscription": "sub_1"}}},
            "sub_1",
        ),
        ("invoice.created", {"id": "in_1", "customer": "cus_1"}, "cus_1"),
        ("invoice.upcoming", {"customer": None}, "evt_1"),
        ("customer.subscription.updated", {"id": "sub_1", "customer": "cus_1"}, "sub_1"),
        ("customer.updated", {"id": "cus_1"}, "cus_1"),
        ("customer.source.created", {"id": "card_1", "customer": "cus_1"}, "cus_1"),
        ("payout.paid", {"id": "po_1"}, "po_1"),
        ("checkout.session.completed", {"id": "cs_1", "payment_intent": "pi_1"}, "pi_1"),
    ],
)
def test_the_key_is_the_payment_or_another_object(
    event_type: str, subject: dict[str, object], key: str
) -> None:
    assert envelope(event(subject, event_type)).key == key


@pytest.mark.parametrize("wrong", [7, True, "", "\u0000", "a b", "é", "x" * 256, [], {"id": 7}])
def test_an_invalid_id_is_skipped_as_a_key(wrong: object) -> None:
    assert envelope(event({"id": "ch_1", "payment_intent": wrong})).key == "ch_1"
    assert envelope(event({"id": "ch_1"}, account=wrong)).account is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe{}", "not_json"),
        (b'{"id": NaN}', "not_json"),
        (b'{"amount": 1e999}', "not_json"),
        (b'{"id": "\\ud800"}', "not_json"),
        (b"[" * 200_000 + b"]" * 200_000, "not_json"),
        (b"[]", "not_an_object"),
        (b'"evt_1"', "not_an_object"),
        (event({}, id=None), "id_missing_or_invalid"),
        (event({}, id="evt_1\u0000"), "id_missing_or_invalid"),
        (event({}, id="e" * 256), "id_missing_or_invalid"),
        (event({}, type=1), "type_missing_or_invalid"),
        (event({}, type="../etc"), "type_missing_or_invalid"),
        (event({}, created="now"), "created_missing_or_invalid"),
        (event({}, created=True), "created_missing_or_invalid"),
        (event({}, created=-1), "created_missing_or_invalid"),
        (event({}, created=10**15), "created_missing_or_invalid"),
        (event({}, data=None), "data_object_missing_or_invalid"),
        (event([]), "data_object_missing_or_invalid"),
    ],
)
def test_a_body_that_is_no_event_gives_its_reason(body: bytes, reason: str) -> None:
    assert read(body) == Unparseable(reason)


def test_a_thin_event_is_recognised_by_its_class() -> None:
    thin = b'{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.no_meter_found"}'
    assert read(thin) == Unsupported("v2.core.event", "evt_1")
    assert read(b'{"object":"v2.core.event"}') == Unsupported("v2.core.event", None)


@pytest.mark.parametrize(
    ("event_type", "subject", "total"),
    [
        ("payment_intent.created", {"amount": 1099, "currency": "usd"}, ("USD", 1099)),
        ("charge.refunded", {"amount": 5, "amount_refunded": 2, "currency": "jpy"}, ("JPY", 5)),
        ("charge.dispute.created", {"amount": 5, "currency": "eur"}, ("EUR", 5)),
        ("refund.created", {"amount": 5, "currency": "eur"}, ("EUR", 5)),
        ("payout.paid", {"amount": -5, "currency": "eur"}, ("EUR", -5)),
        ("invoice.paid", {"amount_due": 5, "amount": 9, "currency": "eur"}, ("EUR", 5)),
    ],
)
def test_an_event_that_moves_money_has_a_control_total(
    event_type: str, subject: dict[str, object], total: tuple[str, int]
) -> None:
    assert control_total(event(subject, event_type)) == ControlTotal(*total)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        event({"amount": 5, "currency": "eur"}, "customer.subscription.created"),
        event({"amount": 5, "currency": "eur"}, "review.opened"),
        event({"amount": True, "currency": "eur"}),
        event({"amount": "5", "currency": "eur"}),
        event({"amount": 5, "currency": None}),
        event({"currency": "eur"}),
        event([]),
        event({"amount": 5, "currency": "eur"}, type=["charge."]),
    ],
)
def test_other_bodies_have_no_control_total(body: bytes) -> None:
    assert control_total(body) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(st.binary() | st.builds(lambda value: json.dumps(value).encode(), JSON))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(read(body), Envelope | Unparseable | Unsupported)
    control_total(body)


@given(
    st.sampled_from(EVENT_TYPES),
    st.dictionaries(
        st.sampled_from(["id", "payment_intent", "charge", "payments", "parent"]), JSON
    ),
)
def test_any_object_is_routed(event_type: str, subject: dict[str, object]) -> None:
    found = read(event(subject, event_type))
    assert isinstance(found, Envelope | Unparseable)  # JSON that orjson refuses, e.g. NaN
    if isinstance(found, Envelope):
        assert found.resource in PROVIDER.resources
        assert found.key


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_every_example_object_of_stripe_is_routed(name: str) -> None:
    assert envelope(event(OBJECTS[name], "what.ever")).resource == "other"


@pytest.mark.parametrize("name", ["object", "status", "amount", "captured", "customer", "reason"])
def test_any_value_in_a_field_of_the_identity_has_an_answer(name: str) -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    values: tuple[Any, ...] = ([], {}, deep, 2**70, 1.5, "\ud7ff", None)
    for value in values:
        assert envelope(event({"id": "ch_1", "status": "paid", name: value})).identity_sha256
