"""Stripe's event types and example objects, and the kind that each becomes."""

from itertools import product
from typing import Final

import pytest

from payment_pipeline.domain.events import CONTROL_KINDS, KINDS, PAYMENT_EVENT, EventBase
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.providers import ControlTotal, providers
from payment_pipeline.providers.stripe.billing import PAID
from payment_pipeline.providers.stripe.event_types import MODELLED
from support.pairs import normalize, pairs
from support.stripe_bodies import API_VERSIONS, EVENT_TYPES, OBJECTS, body
from support.unmodelled import UNMODELLED_TYPE

# Which of Stripe's example objects an event's type carries, and as what kind it ends; `None` is
# where no model covers it. The longest prefix decides.
CARRIED: Final[dict[str, tuple[str | None, tuple[str, ...]]]] = {
    "payment_intent.": ("payment", ("payment_intent",)),
    "charge.": ("charge", ("charge",)),
    "charge.dispute.": ("dispute", ("dispute",)),
    "charge.refund.": ("refund", ("refund",)),
    "refund.": ("refund", ("refund",)),
    "payout.": ("payout", ("payout",)),
    "invoice.": ("invoice", ("invoice", "deleted_invoice")),
    "customer.subscription.": ("subscription", ("subscription",)),
    "customer.": ("customer", ("customer", "deleted_customer")),
    "customer.discount.": ("customer", ("discount", "deleted_discount")),
    "customer.tax_id.": ("customer", ("tax_id", "deleted_tax_id")),
    "customer.source.": (
        "customer",
        (
            *("source", "card", "bank_account", "payment_source"),
            *("deleted_card", "deleted_bank_account", "deleted_payment_source"),
        ),
    ),
    "radar.early_fraud_warning.": ("fraud_warning", ("radar.early_fraud_warning",)),
    "review.": ("review", ("review",)),
    "application_fee.": (None, ("application_fee",)),
    "application_fee.refund.": (None, ("fee_refund",)),
    "balance.": (None, ("balance",)),
    "checkout.session.": (None, ("checkout.session",)),
    "credit_note.": (None, ("credit_note",)),
    "invoice_payment.": (None, ("invoice_payment",)),
    "invoiceitem.": (None, ("invoiceitem", "deleted_invoiceitem")),
    "mandate.": (None, ("mandate",)),
    "payment_method.": (None, ("payment_method",)),
    "setup_intent.": (None, ("setup_intent",)),
    "subscription_schedule.": (None, ("subscription_schedule",)),
    "topup.": (None, ("topup",)),
    "transfer.": (None, ("transfer",)),
}


def carried(event_type: str) -> tuple[str | None, tuple[str, ...]]:
    return CARRIED[max((prefix for prefix in CARRIED if event_type.startswith(prefix)), key=len)]


def test_every_family_has_a_pair() -> None:
    with_pair = {pair.event["kind"] for pair in pairs() if pair.provider == "stripe"}
    assert with_pair == {kind for kind, _ in CARRIED.values() if kind}


def test_every_kind_is_one_of_the_domain() -> None:
    assert {kind for kind, _ in CARRIED.values() if kind} <= KINDS.keys()


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_example_object_becomes_its_kind(event_type: str) -> None:
    kind, resources = carried(event_type)
    for resource, api_version in product(resources, API_VERSIONS):
        sent = body(event_type, OBJECTS[resource], api_version=api_version)
        ended = normalize(sent)
        if kind is None:
            assert ended == Unmodelled(event_type)
            continue
        if resource == "deleted_invoice" and event_type in PAID:
            assert isinstance(ended, Rejected), "an invoice that was paid says how much"
            continue
        assert isinstance(ended, EventBase), (resource, ended)
        assert ended.kind == kind
        assert ended.provider_event_type == event_type
        assert ended.api_version == api_version
        # What was written is what every later stage reads.
        assert PAYMENT_EVENT.validate_json(ended.model_dump_json(exclude_none=True)) == ended


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_control_total_agrees_with_the_event(event_type: str) -> None:
    kind, resources = carried(event_type)
    for resource in resources:
        sent = body(event_type, OBJECTS[resource])
        ended = normalize(sent)
        total = providers()["stripe"].control_total(sent)
        if kind in CONTROL_KINDS and not resource.startswith("deleted_"):
            assert total is not None, (
                f"the ledger adds up the amounts of {kind}, and control_total reads none of "
                f"{event_type}: add its line to _CONTROL_FIELDS in providers/stripe/envelope.py"
            )
            assert isinstance(ended, EventBase)
            assert ended.currency is not None
            assert ended.amount_minor is not None
            assert total == ControlTotal(ended.currency, ended.amount_minor)
        else:
            assert total is None


def test_every_type_of_a_modelled_family_is_modelled_and_no_other() -> None:
    wanted = {each for each in EVENT_TYPES if carried(each)[0]}
    assert set(MODELLED) == wanted, (
        "change CARRIED here or MODELLED in stripe/event_types.py: "
        f"{sorted(MODELLED.keys() ^ wanted)} stand in one of the two alone"
    )


def test_an_object_under_a_type_that_does_not_carry_it_is_rejected_with_its_path() -> None:
    for event_type, resource in product(MODELLED, OBJECTS):
        object_ = OBJECTS[resource].get("object")
        ended = normalize(body(event_type, OBJECTS[resource]))
        if object_ in MODELLED[event_type][0].objects or object_ is None:
            continue
        assert isinstance(ended, Rejected), (event_type, resource)
        assert "data.object.object" in {error.path for error in ended.errors}


def test_the_type_that_tests_call_unmodelled_has_no_model() -> None:
    assert UNMODELLED_TYPE not in {*MODELLED, *EVENT_TYPES}
    sent = body(UNMODELLED_TYPE, OBJECTS["charge"])
    assert normalize(sent) == Unmodelled(UNMODELLED_TYPE)
