"""Payment shapes that no case file has: Stripe's events, and the right value in the marts."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

AT_S: Final = 1_796_000_000
BASIL: Final = "2025-03-31.basil"
AMOUNTS: Final = "state, captured_amount, refunded_amount, disputed_amount, net_amount"

Expected = tuple[str, list[tuple[object, ...]]]


class Shape(NamedTuple):
    """The events of one payment or subscription, and a query on the marts with its right rows."""

    events: list[dict[str, Any]]
    expected: Expected


def shape(
    name: str, expected: Expected, *events: tuple[str, int, dict[str, Any]], version: str = BASIL
) -> Shape:
    """Events of a shape: the type, the seconds since the first event, and `data`."""
    return Shape(
        [
            {
                "id": f"evt_{name}_{number}",
                "object": "event",
                "api_version": version,
                "created": AT_S + after_s,
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": event_type,
                "data": data,
            }
            for number, (event_type, after_s, data) in enumerate(events)
        ],
        expected,
    )


def charge(
    name: str,
    amount: int = 10_000,
    captured: int | None = None,
    refunded: int = 0,
    *,
    says_captured: bool = True,
    **more: object,
) -> dict[str, Any]:
    """A charge without a payment intent. Before 2020 it did not say the captured amount."""
    taken = amount if captured is None else captured
    return {
        "id": f"ch_{name}",
        "object": "charge",
        "amount": amount,
        "amount_captured": taken if says_captured else None,
        "amount_refunded": refunded,
        "captured": taken > 0,
        "currency": "usd",
        "status": "succeeded",
        "refunded": refunded == amount,
        **more,
    }


def refund(name: str, number: int, amount: int, status: str, at_s: int) -> dict[str, Any]:
    """A refund of the charge of a shape."""
    return {
        "id": f"re_{name}_{number}",
        "object": "refund",
        "amount": amount,
        "charge": f"ch_{name}",
        "currency": "usd",
        "status": status,
        "created": AT_S + at_s,
    }


def of(value: dict[str, Any], **previous: object) -> dict[str, Any]:
    """The `data` of an event."""
    return {"object": value, "previous_attributes": previous} if previous else {"object": value}


def paid(name: str, *values: object) -> Expected:
    """The amounts of the payment of a shape's charge."""
    return (
        f"select {AMOUNTS} from {{marts}}.fct_payments where payment_id = 'ch_{name}'",
        [values],
    )


def monthly(name: str, *values: object) -> Expected:
    """The monthly amount of a shape's subscription."""
    return (
        f"""select closing_mrr, has_unknown_amount from {{marts}}.fct_subscriptions
        where subscription_id = 'sub_{name}' order by moved_at desc limit 1""",
        [values],
    )


def subscribed(name: str, *items: dict[str, Any], **more: object) -> dict[str, Any]:
    """An active subscription."""
    return {
        "id": f"sub_{name}",
        "object": "subscription",
        "status": "active",
        "customer": f"cus_{name}",
        "currency": "usd",
        "items": {"object": "list", "data": list(items), "has_more": False},
        **more,
    }


def item(unit_amount: int | None, interval: str = "month", **more: object) -> dict[str, Any]:
    """One item of a subscription."""
    recurring = {"interval": interval, "interval_count": 1, "usage_type": "licensed"}
    price = {"unit_amount": unit_amount, "currency": "usd", "recurring": recurring, **more}
    return {"quantity": 1, "price": price}


def coupon(**terms: object) -> dict[str, Any]:
    """A discount with the terms of its coupon."""
    return {"id": "di_1", "object": "discount", "end": None, "coupon": {"id": "C", **terms}}


_HUGE: Final = 2**63 - 1

SHAPES: Final[Mapping[str, Shape]] = {
    "refund_fails_and_is_made_again": shape(
        "again",
        paid("again", "succeeded", 100, 40, 0, 60),
        ("charge.succeeded", 0, of(charge("again"))),
        ("refund.created", 10, of(refund("again", 1, 4_000, "pending", 10))),
        ("charge.refunded", 10, of(charge("again", refunded=4_000), amount_refunded=0)),
        ("refund.failed", 20, of(refund("again", 1, 4_000, "failed", 10))),
        ("refund.created", 30, of(refund("again", 2, 4_000, "succeeded", 30))),
        ("charge.refunded", 30, of(charge("again", refunded=4_000), amount_refunded=0)),
    ),
    "refund_fails_and_only_the_charge_told_of_it": shape(
        "failed",
        paid("failed", "succeeded", 100, 0, 0, 100),
        ("charge.succeeded", 0, of(charge("failed"))),
        ("charge.refunded", 10, of(charge("failed", refunded=4_000), amount_refunded=0)),
        ("charge.refund.updated", 20, of(refund("failed", 1, 4_000, "failed", 10))),
    ),
    "refund_of_2017": shape(
        "y2017",
        paid("y2017", "succeeded", 100, 25, 0, 75),
        ("charge.succeeded", 0, of(charge("y2017", says_captured=False))),
        (
            "charge.refunded",
            10,
            of(charge("y2017", refunded=2_500, says_captured=False), amount_refunded=0),
        ),
        version="2017-08-15",
    ),
    "partial_capture_and_refund_of_2017": shape(
        "part17",
        paid("part17", "succeeded", 60, 20, 0, 40),
        ("charge.succeeded", 0, of(charge("part17", captured=0, says_captured=False))),
        ("charge.captured", 10, of(charge("part17", refunded=4_000, says_captured=False))),
        (
            "charge.refunded",
            10,
            of(charge("part17", refunded=4_000, says_captured=False), amount_refunded=0),
        ),
        (
            "charge.refunded",
            20,
            of(charge("part17", refunded=6_000, says_captured=False), amount_refunded=4_000),
        ),
        version="2017-08-15",
    ),
    "multicapture_told_by_charges_alone": shape(
        "multi",
        paid("multi", "succeeded", 80, 5, 0, 75),
        ("charge.succeeded", 0, of(charge("multi", captured=0))),
        ("charge.captured", 10, of(charge("multi", captured=3_000))),
        ("charge.refunded", 15, of(charge("multi", captured=3_000, refunded=500))),
        ("charge.captured", 20, of(charge("multi", captured=8_000, refunded=500))),
        ("charge.updated", 30, of(charge("multi", captured=8_000, refunded=2_500))),
        version="2024-06-20",
    ),
    "partial_authorization": shape(
        "partial",
        (
            """select authorized_amount, captured_amount from {marts}.fct_payments
            where payment_id = 'ch_partial'""",
            [(60, 60)],
        ),
        (
            "charge.succeeded",
            0,
            of(
                charge(
                    "partial",
                    captured=6_000,
                    payment_method_details={"type": "card", "card": {"amount_authorized": 6_000}},
                )
            ),
        ),
    ),
    "amount_of_64_bits": shape(
        "huge",
        (
            "select captured_amount from {marts}.fct_payments where payment_id = 'ch_huge'",
            [(Decimal("92233720368547758.07"),)],
        ),
        ("charge.succeeded", 0, of(charge("huge", amount=_HUGE))),
        ("charge.updated", 5, of(charge("huge", amount=_HUGE))),
    ),
    "fraud_warning_that_names_only_the_charge": shape(
        "warned",
        (
            """select payment_id, is_fraud_warned from {marts}.fct_payments
            where payment_id in ('pi_warned', 'ch_warned')""",
            [("pi_warned", True)],
        ),
        (
            "radar.early_fraud_warning.created",
            9,
            of(
                {
                    "id": "issfr_1",
                    "object": "radar.early_fraud_warning",
                    "charge": "ch_warned",
                    "actionable": True,
                    "fraud_type": "misc",
                }
            ),
        ),
        ("charge.succeeded", 0, of(charge("warned", payment_intent="pi_warned"))),
    ),
    "unknown_status_is_no_success": shape(
        "newword",
        paid("newword", "unknown", 0, 0, 0, 0),
        ("charge.updated", 0, of(charge("newword", status="hoped_for"))),
    ),
    "coupon_of_an_amount_for_some_months": shape(
        "off",
        monthly("off", 15, False),
        (
            "customer.subscription.created",
            0,
            of(
                subscribed(
                    "off",
                    item(2_000),
                    discount=coupon(amount_off=500, currency="usd", duration="repeating"),
                )
            ),
        ),
    ),
    "coupon_for_one_bill_is_no_discount_of_the_month": shape(
        "once",
        monthly("once", 20, False),
        (
            "customer.subscription.created",
            0,
            of(subscribed("once", item(2_000), discount=coupon(percent_off=50.0, duration="once"))),
        ),
    ),
    "coupon_named_by_its_id_alone": shape(
        "named",
        monthly("named", 20, True),
        (
            "customer.subscription.created",
            0,
            of(subscribed("named", item(2_000), discounts=["di_9"])),
        ),
    ),
}
