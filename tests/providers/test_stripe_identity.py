"""What makes two of Stripe's deliveries the same event, and the merchant of an event."""

import json
from itertools import combinations
from typing import Any

import pytest

from payment_pipeline.providers import Envelope
from payment_pipeline.providers.stripe.envelope import merchant_of, read
from support.stripe_bodies import case, event, example
from support.stripe_events import fields_of

CHARGE = event(
    "charge.succeeded",
    example("charge", amount=1234, amount_captured=1234, captured=True, customer="cus_1"),
    account="acct_1",
    api_version="2025-03-31.basil",
)


def identity(sent: dict[str, Any]) -> str:
    found = read(json.dumps(sent).encode())
    assert isinstance(found, Envelope)
    assert found.identity_sha256 is not None
    return found.identity_sha256


def changed(**fields: object) -> dict[str, Any]:
    """The charge event with other values of the object."""
    return {**CHARGE, "data": {"object": {**CHARGE["data"]["object"], **fields}}}


@pytest.mark.parametrize(
    "another",
    [
        {**CHARGE, "pending_webhooks": 2},
        {**CHARGE, "pending_webhooks": 0},
        {**CHARGE, "api_version": "2020-08-27"},
        {**CHARGE, "context": "acct_1"},
        {**CHARGE, "context": "org_1/acct_1"},
        {**CHARGE, "request": None},
        {**CHARGE, "a_field_of_next_year": {"a": [1]}},
        dict(reversed(CHARGE.items())),
        changed(customer={"id": "cus_1", "object": "customer"}),
        changed(amount_refunded=5),
        changed(invoice="in_1", metadata={"note": "x"}),
        changed(status="paid"),
    ],
)
def test_another_delivery_of_an_event_has_the_same_identity(another: dict[str, Any]) -> None:
    assert identity(another) == identity(CHARGE)


@pytest.mark.parametrize(
    "another",
    [
        {**CHARGE, "id": "evt_2"},
        {**CHARGE, "type": "charge.captured"},
        {**CHARGE, "created": 1_750_000_001},
        {**CHARGE, "livemode": True},
        {**CHARGE, "account": "acct_2"},
        {**CHARGE, "account": None},
        changed(id="ch_2"),
        changed(amount=1235),
        changed(amount_captured=1233),
        changed(currency="eur"),
        changed(status="failed"),
        changed(captured=False),
        changed(customer="cus_2"),
        changed(customer=None),
        changed(failure_code="card_declined"),
    ],
)
def test_an_altered_event_has_another_identity(another: dict[str, Any]) -> None:
    assert identity(another) != identity(CHARGE)


@pytest.mark.parametrize(
    ("event_type", "resource", "alteration"),
    [
        ("payment_intent.succeeded", "payment_intent", {"amount_received": 7}),
        ("invoice.paid", "invoice", {"amount_paid": 7}),
        ("invoice.paid", "invoice", {"amount_due": 7}),
        ("invoice.paid", "invoice", {"status": "void"}),
        ("charge.dispute.closed", "dispute", {"status": "won"}),
        ("charge.dispute.closed", "dispute", {"reason": "fraudulent"}),
        ("refund.created", "refund", {"amount": 7}),
        ("payout.paid", "payout", {"amount": -7}),
        ("customer.subscription.updated", "subscription", {"status": "canceled"}),
        ("customer.subscription.updated", "subscription", {"customer": "cus_other"}),
        ("customer.updated", "customer", {"id": "cus_other"}),
    ],
)
def test_an_altered_amount_status_or_customer_counts_in_every_kind(
    event_type: str, resource: str, alteration: dict[str, object]
) -> None:
    sent = event(event_type, example(resource))
    altered = event(event_type, example(resource, **alteration))
    assert identity(altered) != identity(sent)


def test_the_renamed_statuses_of_old_versions_are_equal() -> None:
    for new, old in (
        ("requires_payment_method", "requires_source"),
        ("requires_action", "requires_source_action"),
    ):
        newer, older = (
            event("payment_intent.created", example("payment_intent", status=status))
            for status in (new, old)
        )
        assert identity(newer) == identity(older)


def test_a_charge_rendered_in_two_versions_is_one_event() -> None:
    """Before 2025-03-31.basil, the released part of the authorization is in `amount_refunded`."""
    released = example(
        "charge", amount=20_675, amount_captured=20_300, amount_refunded=375, captured=True
    )
    before = event("charge.captured", released, api_version="2024-12-18.acacia")
    since = event("charge.captured", {**released, "amount_refunded": 0})
    assert identity(before) == identity(since)
    for sent in (before, since):
        assert fields_of(json.dumps(sent).encode())["amount_refunded_minor"] == 0


def test_deliveries_with_other_pending_webhooks_are_one_event() -> None:
    events = case("16a_same_event_other_pending_webhooks")
    assert len({json.dumps(each) for each in events}) == len(events) > 1
    assert len({identity(each) for each in events}) == 1


@pytest.mark.parametrize(
    "name", ["09a_two_event_objects_for_one_failure", "05_dispute_partially_won"]
)
def test_two_events_about_one_object_are_two(name: str) -> None:
    for one, other in combinations(case(name), 2):
        assert identity(one) != identity(other)


@pytest.mark.parametrize(
    ("context", "merchant"),
    [
        ("acct_1", "acct_1"),
        ("org_1/acct_2", "acct_2"),
        ("org_1/acct_2/acct_3", "acct_3"),
        ("org_1", None),
        ("acct_1/", None),
        ("acct_1/cus_1", None),
        ("acct_\n1", None),
        ("jane@example.com", None),
        ("", None),
        (None, None),
        (7, None),
        (["acct_1"], None),
        ("acct_" + "1" * 300, None),
    ],
)
def test_the_merchant_is_the_last_account_of_a_context(
    context: object, merchant: str | None
) -> None:
    assert merchant_of(context) == merchant


def test_the_gateway_and_the_normalizer_read_one_merchant() -> None:
    (sent,) = case("17_organization_event_context")
    body = json.dumps(sent).encode()
    found = read(body)
    assert isinstance(found, Envelope)
    assert found.account == fields_of(body)["merchant_id"] == "acct_bh2ORG1"


def test_the_account_comes_before_the_context() -> None:
    sent = event("charge.succeeded", example("charge"), account="acct_1", context="org_1/acct_1")
    assert fields_of(json.dumps(sent).encode())["merchant_id"] == "acct_1"
