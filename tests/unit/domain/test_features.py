"""The fold of features is the same in any order, and uses only what was known at the time."""

from copy import deepcopy
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.domain import features as online
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import (
    COUNTERPARTIES_MAX,
    FEATURES,
    RECENT_MAX,
    Entity,
    EntityKey,
    EntityState,
    entities,
    fold,
)
from support.bare_event import NOON, event

CUSTOMER = EntityKey("stripe", Entity.CUSTOMER, "platform/test/cus_1")
CARD = EntityKey("stripe", Entity.CARD, "card_1")
PLATFORM = EntityKey("stripe", Entity.MERCHANT, "platform/test")


def charge(outcome: str, at: datetime = NOON, **fields: object) -> PaymentEvent:
    """An attempt of cus_1 with card_1 over ten dollars, unless given."""
    known = {
        "customer_id": "cus_1",
        "amount_minor": 1000,
        "currency": "USD",
        "currency_exponent": 2,
        "payment_method": {"type": "card", "card_hash": "card_1"},
    }
    return event(f"charge.{outcome}", at, **(known | fields))


def vector(scored: PaymentEvent, states: dict[EntityKey, EntityState]) -> dict[str, float]:
    return online.vector(scored, entities(scored), states)


def after(*events: PaymentEvent) -> dict[EntityKey, EntityState]:
    """The states that events leave."""
    states: dict[EntityKey, EntityState] = {}
    for _ in fold(events, states):
        pass
    return states


TYPES = (
    *("charge.succeeded", "charge.failed", "charge.refunded", "payment.created"),
    *("refund.created", "dispute.created", "dispute.closed", "fraud_warning.created"),
    *("invoice.payment_failed", "subscription.updated", "subscription.deleted"),
    *("customer.source_created", "payout.paid"),
)


@st.composite
def happenings(draw: st.DrawFn) -> PaymentEvent:
    """Any event among few customers, cards, merchants and seconds, so that they meet."""
    event_type = draw(st.sampled_from(TYPES))
    fields: dict[str, Any] = {
        "customer_id": draw(st.sampled_from([None, "cus_1", "cus_2"])),
        "merchant_id": draw(st.sampled_from([None, "acct_1"])),
    }
    if event_type.startswith(("charge", "payment", "customer")):
        card_hash = draw(st.sampled_from([None, *(f"card_{index}" for index in range(60))]))
        fields["payment_method"] = {"card_hash": card_hash}
    if event_type.startswith("charge"):
        amount_minor = draw(st.integers(0, 2**40))
        fields |= {"amount_minor": amount_minor, "currency": "USD", "currency_exponent": 2}
    if event_type.startswith("subscription"):
        fields["status"] = draw(st.sampled_from(["active", "past_due", "canceled", "unknown"]))
    return event(event_type, NOON + timedelta(seconds=draw(st.integers(0, 40))), **fields)


@given(st.lists(happenings(), max_size=80), st.randoms(use_true_random=False))
def test_any_order_ends_in_the_same_states(events: list[PaymentEvent], random: Random) -> None:
    shuffled = random.sample(events, len(events))
    assert after(*shuffled) == after(*events)


@given(st.lists(happenings(), max_size=40))
def test_every_feature_is_documented_and_finite(events: list[PaymentEvent]) -> None:
    for _, features in fold(events, {}):
        assert set(features) <= set(FEATURES)
        assert all(-1e18 < value < 1e18 for value in features.values())


@given(happenings())
def test_entities_are_sorted_and_end_with_the_merchant(happening: PaymentEvent) -> None:
    keys = entities(happening)
    assert list(keys) == sorted(keys)
    assert keys[-1].entity is Entity.MERCHANT


def test_a_card_without_a_customer_and_a_customer_without_a_card() -> None:
    assert entities(charge("failed", customer_id=None)) == (CARD, PLATFORM)
    assert entities(event("invoice.paid", customer_id="cus_1")) == (CUSTOMER, PLATFORM)
    assert entities(event("refund.created", merchant_id="acct_1")) == (
        EntityKey("stripe", Entity.MERCHANT, "acct_1/test"),
    )


def test_a_customer_id_is_another_customer_in_another_account_or_mode() -> None:
    states = after(
        charge("failed"),
        charge("failed", livemode=True),
        charge("succeeded", merchant_id="acct_1"),
    )
    attempts = {key.entity_id: states[key].attempts for key in states if key != CARD}
    assert attempts == {
        "platform/live/cus_1": 1,
        "platform/live": 1,
        "platform/test/cus_1": 1,
        "platform/test": 1,
        "acct_1/test/cus_1": 1,
        "acct_1/test": 1,
    }


def test_the_failures_of_a_test_customer_are_in_no_feature_of_the_live_one() -> None:
    states = after(charge("failed"), charge("failed", merchant_id="acct_1", livemode=True))
    features = vector(charge("failed", livemode=True), states)
    assert features["customer_failure_run"] == features["customer_age_days"] == 0.0
    assert features["merchant_decline_rate"] == 0.1


def test_a_charge_is_an_attempt_and_its_payment_is_not_another() -> None:
    states = after(
        event("payment.failed", customer_id="cus_1"),
        charge("failed"),
        charge("succeeded"),
        charge("captured"),
        charge("refunded"),
    )
    customer = states[CUSTOMER]
    assert (customer.attempts, customer.successes, customer.failures) == (2, 1, 1)
    assert customer.amounts["USD"].sum_minor == 2000
    assert customer.events == 5


@pytest.mark.parametrize(
    ("event_type", "field"),
    [
        ("refund.created", "refunds"),
        ("dispute.created", "disputes"),
        ("fraud_warning.created", "fraud_warnings"),
        ("invoice.payment_failed", "invoices_failed"),
    ],
)
def test_what_is_counted_counts_once(event_type: str, field: str) -> None:
    assert getattr(after(event(event_type))[PLATFORM], field) == 1


def test_later_news_of_a_refund_or_dispute_counts_nothing() -> None:
    state = after(event("refund.updated"), event("dispute.closed"))[PLATFORM]
    assert (state.refunds, state.disputes) == (0, 0)


def test_amounts_of_two_currencies_are_never_summed() -> None:
    yen: dict[str, Any] = {"amount_minor": 500, "currency": "JPY", "currency_exponent": 0}
    amounts = after(charge("succeeded"), charge("failed", **yen))[CUSTOMER].amounts
    assert {code: totals.sum_minor for code, totals in amounts.items()} == {"USD": 1000, "JPY": 500}


def test_latest_status_wins_and_between_equals_the_greater() -> None:
    def status(said: str, minutes: int) -> PaymentEvent:
        at = NOON + timedelta(minutes=minutes)
        return event("subscription.updated", at, customer_id="cus_1", status=said)

    late = after(status("past_due", 5), status("active", 1))[CUSTOMER]
    assert late.subscription_status == "past_due"
    tied = after(status("past_due", 5), status("active", 5))[CUSTOMER]
    assert tied.subscription_status == "past_due"


def test_memory_is_bounded() -> None:
    many = [
        charge(
            "failed",
            NOON + timedelta(seconds=index),
            payment_method={"card_hash": f"card_{index:03}"},
        )
        for index in range(COUNTERPARTIES_MAX + 20)
    ]
    customer = after(*many)[CUSTOMER]
    assert len(customer.counterparties) == COUNTERPARTIES_MAX
    assert len(customer.recent_attempts_at) == RECENT_MAX
    assert customer.recent_attempts_at[-1] == many[-1].occurred_at
    assert after(*reversed(many)) == after(*many)


def test_of_one_never_seen_the_counts_are_known_and_zero() -> None:
    features = vector(charge("succeeded"), {})
    assert features["customer_attempts_1h"] == 0
    assert features["card_distinct_customers"] == 0
    assert features["customer_age_days"] == 0
    assert "days_since_last_success" not in features
    assert "amount_over_customer_mean" not in features


def test_without_a_customer_nothing_is_said_of_one() -> None:
    features = vector(event("payout.paid"), {})
    assert not [name for name in features if "customer" in name or "card" in name]


def test_windows_end_at_the_event_and_never_see_what_came_after() -> None:
    states = after(
        charge("failed", NOON - timedelta(minutes=59)),
        charge("failed", NOON - timedelta(hours=23)),
        charge("failed", NOON - timedelta(days=29)),
        charge("failed", NOON + timedelta(minutes=1)),
    )
    features = vector(charge("succeeded", NOON), states)
    assert features["customer_attempts_1h"] == 1
    assert features["card_failures_24h"] == 2
    assert features["card_failures_30d"] == 3


def test_failure_run_starts_after_the_last_success() -> None:
    states = after(
        charge("failed", NOON - timedelta(hours=5)),
        charge("succeeded", NOON - timedelta(hours=4)),
        charge("failed", NOON - timedelta(hours=3)),
        charge("failed", NOON - timedelta(hours=2)),
    )
    assert vector(charge("failed"), states)["customer_failure_run"] == 2


def test_amounts_are_compared_in_their_own_currency() -> None:
    states = after(charge("succeeded", amount_minor=1000), charge("succeeded", amount_minor=3000))
    dollars = vector(charge("succeeded", amount_minor=8000), states)
    assert dollars["amount_over_customer_mean"] == pytest.approx(4.0)
    euros = vector(charge("succeeded", currency="EUR"), states)
    assert "amount_over_customer_mean" not in euros


def test_amount_is_in_major_units_of_any_exponent() -> None:
    cents = vector(charge("succeeded", amount_minor=9900), {})
    yen: dict[str, Any] = {"amount_minor": 99, "currency": "JPY", "currency_exponent": 0}
    assert cents["amount_log10_major"] == pytest.approx(2.0)
    assert vector(charge("succeeded", **yen), {})["amount_log10_major"] == pytest.approx(2.0)


def test_past_due_is_said_only_of_a_live_subscription() -> None:
    def features(status: str) -> dict[str, float]:
        states = after(event("subscription.updated", customer_id="cus_1", status=status))
        return vector(charge("succeeded"), states)

    assert features("past_due")["subscription_past_due"] == 1
    assert features("active")["subscription_past_due"] == 0
    assert "subscription_past_due" not in features("canceled")


def test_a_subscription_s_own_event_knows_its_new_status() -> None:
    before = after(event("subscription.created", customer_id="cus_1", status="active"))
    failed = event("subscription.updated", customer_id="cus_1", status="past_due")
    assert vector(failed, before)["subscription_past_due"] == 1


def test_checks_and_funding_are_left_out_when_unknown() -> None:
    method = {"type": "card", "funding": "prepaid", "cvc_check": "fail", "three_d_secure": "failed"}
    features = vector(charge("succeeded", payment_method=method, risk={"score": 70}), {})
    assert (features["is_prepaid"], features["cvc_check_failed"]) == (1, 1)
    assert (features["three_d_secure_passed"], features["is_wallet"]) == (0, 0)
    assert features["risk_score"] == 70
    assert "postal_check_failed" not in features


def test_features_are_of_just_before_the_event() -> None:
    (_, first), (_, second) = fold([charge("failed"), charge("failed")], {})
    assert (first["card_failures_24h"], second["card_failures_24h"]) == (0, 1)


def test_a_vector_changes_nothing() -> None:
    states = after(charge("failed"))
    before = deepcopy(states)
    vector(charge("succeeded"), states)
    assert states == before


def test_an_attempt_of_an_unknown_status_is_neither_success_nor_failure() -> None:
    states: dict[EntityKey, EntityState] = {}
    unclear = event("charge.succeeded", customer_id="cus_1", status="unknown")
    list(fold([unclear], states))
    (state,) = (found for key, found in states.items() if key.entity is Entity.CUSTOMER)
    assert (state.attempts, state.successes, state.failures) == (1, 0, 0)
