"""Reads Stripe's objects of recurring billing: invoices and subscriptions.

Source: Stripe's API reference and changelog. 2025-03-31.basil moved an invoice's `subscription`,
`payment_intent` and `charge` to `parent.subscription_details` and `payments`, and a subscription's
`current_period_*` to its items. An item has a `price`. Older versions have a `plan`, and some
bodies have both.
"""

from datetime import UTC, datetime
from fractions import Fraction
from math import floor
from typing import Final, NamedTuple

from payment_pipeline.domain import recurring
from payment_pipeline.providers.reader import BIGINT_MAX, Fields, Reader

from . import discounts, statuses
from .money import Currency, currency, in_currency, money
from .rendering import Rendering

TOO_MUCH: Final = "add up to more than 64 bits hold"
PAID: Final = ("invoice.paid", "invoice.payment_succeeded")


def invoice(found: Reader, rendering: Rendering) -> Fields:
    """Reads an Invoice. An upcoming invoice has no id."""
    subscription = found.child("parent").child("subscription_details")
    return {
        **money(found, "amount_due"),
        "payment_id": _payment_id(found),
        "status": statuses.neutral(statuses.INVOICE, found.raw_text("status")),
        "subscription_id": found.reference("subscription")
        or subscription.reference("subscription"),
        **found.codes("billing_reason", "collection_method"),
        "amount_paid_minor": found.amount("amount_paid", required=rendering.event_type in PAID),
        "amount_remaining_minor": found.amount("amount_remaining"),
        "total_minor": found.amount("total"),
        "attempt_count": found.count("attempt_count"),
        "next_payment_attempt_at": found.moment("next_payment_attempt"),
        "due_at": found.moment("due_date"),
        "period_start_at": found.moment("period_start"),
        "period_end_at": found.moment("period_end"),
    }


def subscription(found: Reader, rendering: Rendering) -> Fields:
    """Reads a Subscription.

    If the periods of its items differ, its period is the one that ends first. If the billing
    intervals of its items differ, it has no `amount_minor` and no interval, because $10 a month and
    $120 a year have no sum. `monthly_amount_minor` converts each item to a month first.
    """
    listed = found.child("items")
    items = [_item(item) for item in listed.children("data")] or _legacy_items(found)
    cycle = _cycle(items)
    amount_minor = None if listed.flag("has_more") or cycle is None else _sum(found, items)
    started, ended = min((item.period for item in items), key=_end, default=_NO_PERIOD)
    paused = found.expanded("pause_collection")
    billed_in = currency(found) or next((item.currency for item in items), None)
    applied = discounts.of_subscription(found, billed_in, rendering.occurred_at)
    return {
        **in_currency(billed_in),
        "status": statuses.neutral(statuses.SUBSCRIPTION, found.raw_text("status")),
        "amount_minor": amount_minor,
        **_monthly(found, items, applied),
        "is_collection_paused": bool(paused),
        "collection_resumes_at": paused.moment("resumes_at"),
        "quantity": sum(item.quantity for item in items) if items else None,
        "interval": cycle and cycle.interval,
        "interval_count": cycle and cycle.interval_count,
        "started_at": found.moment("start_date") or found.moment("start"),
        "current_period_start_at": found.moment("current_period_start") or started,
        "current_period_end_at": found.moment("current_period_end") or ended,
        "trial_end_at": found.moment("trial_end"),
        "cancel_at_period_end": found.flag("cancel_at_period_end"),
        "canceled_at": found.moment("canceled_at"),
        "ended_at": found.moment("ended_at"),
        "cancellation_reason": found.child("cancellation_details").code("reason"),
        **found.codes("collection_method"),
    }


class Period(NamedTuple):
    """A billing period."""

    start_at: datetime | None
    end_at: datetime | None


class Cycle(NamedTuple):
    """A billing cycle: one bill every `interval_count` intervals."""

    interval: str | None
    interval_count: int | None


class Item(NamedTuple):
    """One item of a subscription."""

    amount_minor: Fraction | int | None
    """`None` if it is not known in advance: tiers, or a price that the payer chooses."""
    quantity: int
    """0 for a metered item: its usage is not known in advance, so the sum leaves it out."""
    is_metered: bool
    currency: Currency | None
    cycle: Cycle
    period: Period
    product: str | None


_NO_PERIOD: Final = Period(None, None)


def _item(item: Reader) -> Item:
    price = item.child("price")
    billing, unit, bundle = price.child("recurring"), "unit_amount", "transform_quantity"
    if not price:
        price = billing = item.child("plan")
        unit, bundle = "amount", "transform_usage"
    metered = billing.raw_text("usage_type") == "metered"
    quantity = 0 if metered else item.count("quantity")
    quantity = 1 if quantity is None else quantity
    each = price.amount(unit)
    unit_minor = price.decimal(f"{unit}_decimal") if each is None else each
    if price.raw_text("billing_scheme") == "tiered":
        unit_minor = None
    return Item(
        amount_minor=_times(unit_minor, _bundles(quantity, price.child(bundle))),
        quantity=quantity,
        is_metered=metered,
        currency=currency(price),
        cycle=Cycle(
            billing.choice("interval", recurring.MONTHS_OF), billing.count("interval_count")
        ),
        period=Period(item.moment("current_period_start"), item.moment("current_period_end")),
        product=price.reference("product"),
    )


def _legacy_items(found: Reader) -> list[Item]:
    """The only item of a subscription before 2016-07-06: its plan and quantity are at the top."""
    return [_item(found)] if found.expanded("plan") else []


def _bundles(quantity: int, bundle: Reader) -> int:
    """The number of price units in a quantity. A price may be for a dozen."""
    divide_by = bundle.count("divide_by") or 1
    return -(-quantity // divide_by) if bundle.raw_text("round") == "up" else quantity // divide_by


def _times(unit_minor: Fraction | int | None, bundles: int) -> Fraction | int | None:
    return None if unit_minor is None else unit_minor * bundles


def _cycle(items: list[Item]) -> Cycle | None:
    """The common billing cycle, or `None` if they differ. Items without an amount don't count."""
    adding = [item for item in items if item.amount_minor != 0] or items[:1]
    cycles = {item.cycle for item in adding}
    return cycles.pop() if len(cycles) == 1 else None


def _sum(found: Reader, items: list[Item]) -> int | None:
    """The sum of one period in minor units, rounded half up; `None` if an amount is unknown."""
    amounts = [item.amount_minor for item in items if item.amount_minor is not None]
    if not items or len(amounts) < len(items):
        return None
    total = sum(amounts)
    whole = total if isinstance(total, int) else floor(total + Fraction(1, 2))
    if abs(whole) > BIGINT_MAX:
        found.fault("items", TOO_MUCH)
        return None
    return whole


def _monthly(found: Reader, items: list[Item], applied: discounts.Discounts) -> Fields:
    """What the subscription bills in a month: its items, less its discounts."""
    known = [
        recurring.Item(_known_minor(item), _months(item.cycle), item.product) for item in items
    ]
    complete = (
        applied.complete
        and not found.child("items").flag("has_more")
        and not any(item.is_metered for item in items)
    )
    monthly = recurring.monthly(known, applied.discounts, all_told=complete)
    if abs(Fraction(monthly.amount_minor or 0)) > BIGINT_MAX:
        found.fault("items", TOO_MUCH)
        return {}
    return {
        "monthly_amount_minor": monthly.amount_minor,
        "has_unknown_amount": monthly.has_unknown_part,
    }


def _known_minor(item: Item) -> Fraction | None:
    """The amount of a cycle. A metered item has a known amount of 0, and an unknown part."""
    if item.is_metered:
        return Fraction(0)
    return None if item.amount_minor is None else Fraction(item.amount_minor)


def _months(cycle: Cycle) -> Fraction | None:
    """The length of a cycle in months."""
    if cycle.interval is None:
        return None
    return recurring.MONTHS_OF[cycle.interval] * (cycle.interval_count or 1)


def _end(period: Period) -> datetime:
    return period.end_at or _NEVER


_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def _payment_id(found: Reader) -> str | None:
    """The payment intent or the charge that pays the invoice. Since basil, the default payment."""
    before_basil = found.reference("payment_intent") or found.reference("charge")
    if before_basil is not None:
        return before_basil
    payments = found.child("payments").children("data")
    payments.sort(key=lambda each: not each.flag("is_default"))
    for each in payments:
        paid_by = each.child("payment")
        payment_id = paid_by.reference("payment_intent") or paid_by.reference("charge")
        if payment_id is not None:
            return payment_id
    return None
