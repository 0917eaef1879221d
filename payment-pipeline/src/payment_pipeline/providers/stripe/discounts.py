"""Reads the discounts of a Stripe subscription that reduce its monthly amount.

A coupon of the duration `forever` or `repeating` reduces each bill. `once` reduces a single bill,
so it is no part of a recurring amount. Since 2025-09-30.clover a discount names its coupon in
`source`. A discount that the body names only by its id has an unknown amount.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from payment_pipeline.domain.recurring import Discount
from payment_pipeline.providers.reader import Reader

from .money import Currency, currency

ONCE: Final = "once"
PERCENT_MAX: Final = 100


class Discounts(NamedTuple):
    """The recurring discounts of a subscription."""

    discounts: list[Discount]
    complete: bool
    """False if the body leaves out what a discount takes off."""


def of_subscription(found: Reader, billed_in: Currency | None, at: datetime | None) -> Discounts:
    """The discounts of a subscription and of its items that hold at a time.

    Args:
        found: the subscription.
        billed_in: its currency. An amount in another currency can't be taken off.
        at: the time; `None` if it is unknown.
    """
    told: set[str] = set()
    by_id_alone: set[str] = set()
    held: dict[str, Discount | None] = {}
    for named, expanded, item in _listed(found):
        if not expanded:
            by_id_alone.add(named)
            continue
        told.add(named)
        if _holds(expanded, at):
            held[named] = _discount(expanded, item, billed_in)
        else:
            held.pop(named, None)
    known = [discount for discount in held.values() if discount is not None]
    return Discounts(known, complete=by_id_alone <= told and len(known) == len(held))


def _listed(found: Reader) -> Iterator[tuple[str, Reader, int | None]]:
    """Each discount: its id, its object if the body has it, and the item that it is for."""
    single = found.expanded("discount")
    if single:
        yield single.raw_text("id") or "discount", single, None
    for named, expanded in found.references("discounts"):
        yield named, expanded, None
    for position, item in enumerate(found.child("items").children("data")):
        for named, expanded in item.references("discounts"):
            yield named, expanded, position


def _holds(discount: Reader, at: datetime | None) -> bool:
    """Whether the discount reduces the bills at a time."""
    if _coupon(discount).raw_text("duration") == ONCE:
        return False
    end_at = discount.moment("end")
    return end_at is None or at is None or at < end_at


def _coupon(discount: Reader) -> Reader:
    coupon = discount.expanded("coupon")
    return coupon or discount.expanded("source").expanded("coupon")


def _discount(discount: Reader, item: int | None, billed_in: Currency | None) -> Discount | None:
    """What a discount takes off; `None` if the body does not say it in the right currency."""
    coupon = _coupon(discount)
    products = coupon.expanded("applies_to").identifiers("products")
    percent = coupon.number("percent_off")
    amount = coupon.amount("amount_off")
    if percent is not None and 0 <= percent <= PERCENT_MAX:
        return Discount(percent_off=percent, products=products, item=item)
    if amount is not None and amount >= 0 and currency(coupon) == billed_in:
        return Discount(amount_off_minor=amount, products=products, item=item)
    return None
