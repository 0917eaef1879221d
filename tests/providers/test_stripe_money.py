"""Stripe's amounts and statuses in each API version become the canonical ones."""

import json
from typing import Any

import pytest

from payment_pipeline.domain.declines import CLASSES, DeclineReason
from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.providers.stripe.decline_codes import REASONS
from payment_pipeline.providers.stripe.decline_codes import reason as decline_reason
from support.stripe_bodies import CASES, body, case, example
from support.stripe_events import fields, fields_of, rejected

ACACIA = "2024-12-18.acacia"
BASIL = "2025-03-31.basil"
NEVER = object()
"""Stands for a field that the event does not have."""


def canonical(name: str) -> list[dict[str, Any]]:
    """The payment events of a case."""
    return [fields_of(json.dumps(each).encode()) for each in case(name)]


@pytest.mark.parametrize("name", CASES)
def test_every_event_of_a_real_case_is_a_payment_event(name: str) -> None:
    assert len(canonical(name)) == len(case(name))
    assert all(each.get("status") != "unknown" for each in canonical(name))


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        (
            "01a_partial_capture_release_acacia",
            2,
            {"status": "succeeded", "amount_captured_minor": 20_300, "amount_refunded_minor": 0},
        ),
        (
            "01a_partial_capture_release_acacia",
            4,
            {"amount_captured_minor": 20_300, "amount_refunded_minor": 0, "previous": NEVER},
        ),
        (
            "01b_partial_capture_release_and_real_refund_acacia",
            6,
            {"amount_refunded_minor": 5000, "previous": {"amount_refunded_minor": 0}},
        ),
        (
            "02_partial_capture_then_refund_told_by_charge_only_basil",
            4,
            {
                "amount_captured_minor": 20_300,
                "amount_refunded_minor": 5000,
                "previous": {"amount_refunded_minor": 0},
            },
        ),
        (
            "03a_uncaptured_charge_let_go_acacia",
            0,
            {"status": "authorized", "provider_status": "succeeded", "amount_captured_minor": 0},
        ),
        (
            "03a_uncaptured_charge_let_go_acacia",
            2,
            {
                "status": "canceled",
                "amount_captured_minor": 0,
                "amount_refunded_minor": 0,
                "previous": {"status": "authorized"},
            },
        ),
        (
            "05_dispute_partially_won",
            5,
            {
                "status": "lost",
                "withdrawn_minor": 10_000,
                "reinstated_minor": 4000,
                "net_balance_minor": -7500,
                "net_balance_currency": "USD",
            },
        ),
        (
            "06_dispute_in_another_currency",
            1,
            {
                "amount_minor": 12_700,
                "currency": "USD",
                "withdrawn_minor": 10_000,
                "net_balance_currency": "GBP",
            },
        ),
        (
            "07a_inquiry_closed_then_charged_back",
            1,
            {"status": "inquiry", "withdrawn_minor": NEVER},
        ),
        ("07a_inquiry_closed_then_charged_back", 2, {"status": "inquiry_closed"}),
        (
            "07a_inquiry_closed_then_charged_back",
            3,
            {"status": "needs_response", "previous": {"status": "inquiry_closed"}},
        ),
        (
            "08a_incremental_authorization",
            2,
            {"status": "authorized", "amount_minor": 1500, "amount_capturable_minor": 1500},
        ),
        (
            "09a_two_event_objects_for_one_failure",
            2,
            {"status": "failed", "charge_id": "ch_bh1c5", "amount_received_minor": 0},
        ),
        (
            "10a_updates_of_one_second_status",
            1,
            {"status": "active", "previous": {"status": "incomplete"}},
        ),
        ("10a_updates_of_one_second_status", 2, {"status": "incomplete", "previous": NEVER}),
        (
            "10b_trial_will_end_and_update_of_one_second",
            1,
            {"previous": {"status": "trialing", "monthly_amount_minor": "2000"}},
        ),
        (
            "11a_forever_coupon_percent",
            0,
            {"monthly_amount_minor": "5000", "amount_minor": 10_000, "has_unknown_amount": False},
        ),
        (
            "12a_base_fee_and_tiered_metered_item",
            0,
            {"monthly_amount_minor": "4900", "has_unknown_amount": True},
        ),
        (
            "13a_mixed_intervals",
            0,
            {"monthly_amount_minor": "2000", "has_unknown_amount": False, "interval": NEVER},
        ),
        (
            "14_pause_collection",
            1,
            {"is_collection_paused": True, "previous": {"is_collection_paused": False}},
        ),
        (
            "15_subscription_of_2016_without_items",
            0,
            {"monthly_amount_minor": "6000", "currency": "USD", "quantity": 2, "interval": "month"},
        ),
        ("17_organization_event_context", 0, {"merchant_id": "acct_bh2ORG1"}),
        ("18b_custom_customer_id_in_live_and_test", 0, {"livemode": True, "country": "FR"}),
        ("18b_custom_customer_id_in_live_and_test", 1, {"livemode": False, "country": "US"}),
        (
            "19b_dispute_without_payment_intent",
            1,
            {"payment_id": "ch_bh3b11", "charge_id": "ch_bh3b11", "withdrawn_minor": 2000},
        ),
    ],
)
def test_an_event_of_a_real_case_has_the_right_values(
    name: str, number: int, expected: dict[str, object]
) -> None:
    found = canonical(name)[number]
    assert {field: found.get(field, NEVER) for field in expected} == expected


# --- partial captures, releases and refunds -------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "said", "refunded"),
    [
        (ACACIA, 0, 0),
        (ACACIA, 375, 0),
        (ACACIA, 5375, 5000),
        (ACACIA, 20_675, 20_300),
        (ACACIA, 100, 100),  # a refund before the rest is released
        ("2020-08-27", 375, 0),
        (BASIL, 0, 0),
        (BASIL, 375, 375),
        (BASIL, 5000, 5000),
        (BASIL, 20_300, 20_300),
        ("2026-06-24.dahlia", 375, 375),
    ],
)
def test_a_released_authorization_is_no_refund_in_any_version(
    version: str, said: int, refunded: int
) -> None:
    partly = example(
        "charge", amount=20_675, amount_captured=20_300, amount_refunded=said, captured=True
    )
    found = fields("charge.refunded", partly, api_version=version)
    assert found["amount_refunded_minor"] == refunded
    assert found["amount_captured_minor"] == 20_300


@pytest.mark.parametrize("version", [None, "", "yesterday"])
def test_an_amount_that_may_be_a_release_needs_the_version(version: str | None) -> None:
    partly = example("charge", amount=500, amount_captured=400, amount_refunded=100, captured=True)
    failed = rejected(body("charge.refunded", partly, api_version=version))
    assert failed == (FailureClass.INVALID, {"data.object.amount_refunded"})
    whole = {**partly, "amount_captured": 500}
    assert fields("charge.refunded", whole, api_version=version)["amount_refunded_minor"] == 100


@pytest.mark.parametrize("version", [ACACIA, BASIL])
@pytest.mark.parametrize("said", [0, 1000])
def test_without_a_capture_nothing_was_refunded(version: str, said: int) -> None:
    released = example(
        "charge", amount=1000, amount_captured=0, amount_refunded=said, captured=False
    )
    let_go = {**released, "refunded": True, "status": "succeeded"}
    found = fields("charge.refunded", let_go, api_version=version)
    assert (found["status"], found["amount_refunded_minor"]) == ("canceled", 0)
    expired = fields("charge.expired", {**released, "status": "succeeded"}, api_version=version)
    assert (expired["status"], expired["amount_captured_minor"]) == ("canceled", 0)


def test_a_capture_before_2020_has_the_amount_that_was_not_released() -> None:
    old = example("charge", amount=1000, amount_refunded=300, captured=True)
    del old["amount_captured"]
    captured = fields("charge.captured", old, api_version="2019-12-03")
    assert captured["amount_captured_minor"] == 700
    assert captured["amount_refunded_minor"] == 0
    later = fields("charge.refunded", old, api_version="2019-12-03")
    assert "amount_captured_minor" not in later, "the rest may be a release or a refund"


@pytest.mark.parametrize(
    ("event_type", "resource", "changes", "path"),
    [
        ("charge.captured", "charge", {"amount_captured": None, "captured": None}, "captured"),
        ("charge.refunded", "charge", {"amount_refunded": None}, "refunded"),
        ("payment_intent.succeeded", "payment_intent", {"amount_received": None}, "received"),
        (
            "payment_intent.amount_capturable_updated",
            "payment_intent",
            {"amount_capturable": None, "status": "requires_capture"},
            "capturable",
        ),
        ("invoice.paid", "invoice", {"amount_paid": None}, "paid"),
        ("invoice.payment_succeeded", "invoice", {"amount_paid": None}, "paid"),
    ],
)
def test_money_that_moved_without_an_amount_is_rejected_with_the_path(
    event_type: str, resource: str, changes: dict[str, object], path: str
) -> None:
    said = {"status": "succeeded"} if resource != "invoice" else {"status": "paid"}
    found = example(resource, **(said | changes))
    assert rejected(body(event_type, found)) == (
        FailureClass.INVALID,
        {f"data.object.amount_{path}"},
    )


def test_a_partly_approved_charge_has_the_approved_amount() -> None:
    card = {"type": "card", "card": {"amount_authorized": 700}}
    charge = example("charge", amount=1000, captured=False, amount_captured=0, status="succeeded")
    found = fields("charge.succeeded", {**charge, "payment_method_details": card})
    assert found["amount_authorized_minor"] == 700
    assert fields("charge.succeeded", charge)["amount_authorized_minor"] == 1000


def test_a_dispute_that_moved_two_currencies_has_no_sum() -> None:
    moves = [
        {"amount": -500, "net": -500, "currency": "usd"},
        {"amount": 200, "net": 200, "currency": "eur"},
    ]
    found = fields("charge.dispute.closed", example("dispute", balance_transactions=moves))
    assert "withdrawn_minor" not in found
    assert "net_balance_minor" not in found


# --- statuses and reasons -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_type", "resource"),
    [
        ("payment_intent.succeeded", "payment_intent"),
        ("payment_intent.created", "payment_intent"),
        ("charge.succeeded", "charge"),
        ("charge.captured", "charge"),
        ("charge.updated", "charge"),
        ("charge.dispute.closed", "dispute"),
        ("refund.created", "refund"),
        ("payout.paid", "payout"),
        ("invoice.paid", "invoice"),
        ("customer.subscription.updated", "subscription"),
    ],
)
def test_a_status_of_tomorrow_is_unknown_and_never_a_success(
    event_type: str, resource: str
) -> None:
    found = fields(event_type, example(resource, status="half_done", amount_captured=1))
    assert (found["status"], found["provider_status"]) == ("unknown", "half_done")


def test_a_review_without_its_flag_is_unknown() -> None:
    review = example("review")
    assert fields("review.opened", {**review, "open": True})["status"] == "open"
    assert fields("review.closed", {**review, "open": False})["status"] == "closed"
    assert fields("review.closed", {**review, "open": None})["status"] == "unknown"


@pytest.mark.parametrize(
    ("said", "captured", "refunded", "status"),
    [
        ("succeeded", True, False, "succeeded"),
        ("succeeded", True, True, "succeeded"),
        ("succeeded", False, False, "authorized"),
        ("succeeded", False, True, "canceled"),
        ("succeeded", None, False, "unknown"),
        ("paid", True, False, "succeeded"),
        ("pending", True, False, "processing"),
        ("failed", False, False, "failed"),
        (None, True, False, "unknown"),
    ],
)
def test_a_charge_is_a_success_only_if_it_was_captured(
    said: str | None, *, captured: bool | None, refunded: bool, status: str
) -> None:
    charge = example("charge", status=said, captured=captured, refunded=refunded)
    assert fields("charge.updated", charge)["status"] == status


@pytest.mark.parametrize(
    ("event_type", "said", "status"),
    [
        ("payment_intent.created", "requires_payment_method", "created"),
        ("payment_intent.payment_failed", "requires_payment_method", "failed"),
        ("payment_intent.payment_failed", "requires_source", "failed"),
        ("payment_intent.requires_action", "requires_source_action", "requires_action"),
        ("payment_intent.processing", "processing", "processing"),
        ("payment_intent.amount_capturable_updated", "requires_capture", "authorized"),
        ("payment_intent.succeeded", "succeeded", "succeeded"),
        ("payment_intent.succeeded", "requires_capture", "unknown"),
        ("payment_intent.canceled", "canceled", "canceled"),
    ],
)
def test_the_type_and_the_object_say_the_status_of_a_payment(
    event_type: str, said: str, status: str
) -> None:
    found = fields(event_type, example("payment_intent", status=said, amount_received=1))
    assert (found["status"], found["provider_status"]) == (status, said)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("fraudulent", "fraudulent"),
        ("bank_cannot_process", "not_processable"),
        ("general", "other"),
        ("of_tomorrow", "unknown"),
    ],
)
def test_the_reason_of_a_dispute_is_neutral(said: str, reason: str) -> None:
    found = fields("charge.dispute.created", example("dispute", reason=said))
    assert (found["reason"], found["provider_reason"]) == (reason, said)


@pytest.mark.parametrize(
    ("decline_code", "code", "reason"),
    [
        ("stolen_card", "card_declined", DeclineReason.STOLEN_CARD),
        (None, "expired_card", DeclineReason.EXPIRED_CARD),
        ("generic_decline", "expired_card", DeclineReason.EXPIRED_CARD),
        ("generic_decline", "card_declined", DeclineReason.GENERIC),
        (None, "card_declined", DeclineReason.GENERIC),
        ("of_tomorrow", "card_declined", DeclineReason.UNKNOWN),
        ("of_tomorrow", "expired_card", DeclineReason.EXPIRED_CARD),
        (None, "of_tomorrow", DeclineReason.UNKNOWN),
        (None, None, None),
    ],
)
def test_a_decline_has_one_reason(
    decline_code: str | None, code: str | None, reason: DeclineReason | None
) -> None:
    assert decline_reason(decline_code, code) is reason


@pytest.mark.parametrize("code", REASONS)
def test_every_code_of_stripe_ends_as_a_reason_with_its_class(code: str) -> None:
    failure = {"code": "card_declined", "decline_code": code}
    intent = example("payment_intent", last_payment_error=failure, status="requires_payment_method")
    declined = fields("payment_intent.payment_failed", intent)["decline"]
    assert declined["reason"] == REASONS[code]
    assert declined["decline_class"] == CLASSES[REASONS[code]]
