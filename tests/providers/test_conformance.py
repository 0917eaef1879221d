"""Does every provider found turn every fixture into what it should be?"""

from itertools import product
from typing import Final

import pytest

from payment_pipeline.domain.events import PAYMENT_EVENT, EventBase
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.providers import ControlTotal, Provider, Unparseable, Verified, providers
from payment_pipeline.providers.stripe.event_types import MODELLED
from support.pairs import Pair, as_json, normalize, pairs
from support.stripe_bodies import API_VERSIONS, EVENT_TYPES, OBJECTS, body

PAIRS = pairs()

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
MONEY_KINDS = {"payment", "charge", "dispute", "refund", "payout", "invoice"}


def carried(event_type: str) -> tuple[str | None, tuple[str, ...]]:
    return CARRIED[max((prefix for prefix in CARRIED if event_type.startswith(prefix)), key=len)]


def test_every_provider_has_fixture_pairs() -> None:
    assert {pair.provider for pair in PAIRS} == set(providers())


@pytest.mark.parametrize("provider", providers().values(), ids=lambda found: found.name)
def test_a_new_secret_is_a_secret_that_a_line_of_a_file_can_hold(provider: Provider) -> None:
    random = "Aa0_-" * 8
    secret = provider.new_secret(random)
    assert random in secret
    assert provider.is_secret(secret)
    assert secret.isascii()
    assert not set(secret) & set(", \t\r\n")


@pytest.mark.parametrize("provider", providers().values(), ids=lambda found: found.name)
def test_nothing_and_a_form_without_its_random_part_are_no_secrets(provider: Provider) -> None:
    assert not provider.is_secret("")
    assert not provider.is_secret(provider.new_secret(""))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.provider}/{pair.name}")
def test_a_signed_fixture_verifies_and_becomes_its_event(pair: Pair) -> None:
    provider = providers()[pair.provider]
    now_s = pair.signed_at_s + 1

    assert isinstance(
        provider.verify(pair.body, pair.signature, (pair.secret,), now_s, 300), Verified
    )
    assert not isinstance(
        provider.verify(pair.body + b" ", pair.signature, (pair.secret,), now_s, 300), Verified
    )
    assert not isinstance(provider.read(pair.body), Unparseable)
    event = normalize(pair.body, pair.provider)
    assert isinstance(event, EventBase), event
    assert as_json(event) == pair.event


def test_every_family_has_a_pair() -> None:
    with_pair = {pair.event["kind"] for pair in PAIRS if pair.provider == "stripe"}
    assert with_pair == {kind for kind, _ in CARRIED.values() if kind}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_resource_ends_where_it_should(event_type: str) -> None:
    kind, resources = carried(event_type)
    for resource, api_version in product(resources, API_VERSIONS):
        sent = body(event_type, OBJECTS[resource], api_version=api_version)
        ended = normalize(sent)
        if kind is None:
            assert ended == Unmodelled(event_type)
            continue
        assert isinstance(ended, EventBase), (resource, ended)
        assert ended.kind == kind
        assert ended.provider_event_type == event_type
        assert ended.api_version == api_version
        # What was written is what every later stage reads.
        assert PAYMENT_EVENT.validate_json(ended.model_dump_json(exclude_none=True)) == ended


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_ledgers_own_reading_of_an_amount_agrees(event_type: str) -> None:
    kind, resources = carried(event_type)
    for resource in resources:
        sent = body(event_type, OBJECTS[resource])
        ended = normalize(sent)
        total = providers()["stripe"].control_total(sent)
        if kind in MONEY_KINDS and not resource.startswith("deleted_"):
            assert isinstance(ended, EventBase)
            assert ended.currency is not None
            assert ended.amount_minor is not None
            assert total == ControlTotal(ended.currency, ended.amount_minor)
        else:
            assert total is None


def test_the_fixtures_of_money_agree_with_their_control_totals() -> None:
    for pair in PAIRS:
        total = providers()[pair.provider].control_total(pair.body)
        if pair.event["kind"] in MONEY_KINDS:
            assert total == (pair.event["currency"], pair.event["amount_minor"]), pair.name


def test_every_type_of_a_modelled_family_is_modelled_and_no_other() -> None:
    assert set(MODELLED) == {each for each in EVENT_TYPES if carried(each)[0]}


def test_an_object_under_a_type_that_does_not_carry_it_is_rejected_with_its_path() -> None:
    for event_type, resource in product(MODELLED, OBJECTS):
        object_ = OBJECTS[resource].get("object")
        ended = normalize(body(event_type, OBJECTS[resource]))
        if object_ in MODELLED[event_type][0].objects or object_ is None:
            continue
        assert isinstance(ended, Rejected), (event_type, resource)
        assert "data.object.object" in {error.path for error in ended.errors}
