"""The monthly amount of a subscription: what is billed, converted to one month, exactly.

Rules (`docs/guides/money.md`):
- A year has 12 months, 52 weeks and 365 days, as in the providers' own reports.
- An item without an amount known in advance (tiers, usage) adds nothing, and a flag says so.
- Discounts are taken off. A discount of the next bill alone is no recurring amount and is left out.
- A fixed discount is taken off each bill, so it counts once for each cycle of the shortest item.
  Each item carries its share of the discount, in proportion to its amount.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Final, NamedTuple

MONTHS_OF: Final[Mapping[str, Fraction]] = {
    "day": Fraction(12, 365),
    "week": Fraction(12, 52),
    "month": Fraction(1),
    "year": Fraction(12),
}
"""The months of each interval."""
DECIMALS: Final = 6
"""The decimal places of a monthly amount, which is rounded half away from zero."""


class Item(NamedTuple):
    """An item of a subscription: an amount for each cycle."""

    amount_minor: Fraction | None
    """`None` if the amount is not known in advance."""
    months: Fraction | None
    """The length of the cycle; `None` if it is unknown, and then the amount is unknown too."""
    product: str | None = None


class Discount(NamedTuple):
    """A discount that is taken off more than one bill."""

    percent_off: Fraction | None = None
    amount_off_minor: int | None = None
    products: frozenset[str] | None = None
    """The products to which the discount applies; `None` for all items."""
    item: int | None = None
    """The position of the only item to which the discount applies; `None` for all items."""


class Monthly(NamedTuple):
    """A monthly amount, as far as it is known."""

    amount_minor: str | None
    """A decimal number; `None` if no part is known."""
    has_unknown_part: bool


def monthly(items: Sequence[Item], discounts: Sequence[Discount], *, all_told: bool) -> Monthly:
    """Adds the items, each converted to a month, and takes the discounts off.

    Args:
        items: all items that are known.
        discounts: in the order in which the provider takes them off.
        all_told: False if there are items or discounts that the provider did not send.
    """
    amounts: list[Fraction | None] = [
        item.amount_minor / item.months
        if item.amount_minor is not None and item.months is not None
        else None
        for item in items
    ]
    unknown = not all_told or any(amount is None for amount in amounts)
    if all(amount is None for amount in amounts):
        return Monthly(None, has_unknown_part=unknown or not items)
    for discount in discounts:
        _take_off(amounts, items, discount)
    total = sum((amount for amount in amounts if amount is not None), Fraction(0))
    return Monthly(_as_text(total), has_unknown_part=unknown)


def _as_text(amount: Fraction) -> str:
    """A decimal number without trailing zeros. `Decimal` would limit the number of digits."""
    digits = floor(abs(amount) * 10**DECIMALS + Fraction(1, 2))
    whole, fraction = divmod(digits, 10**DECIMALS)
    sign = "-" if amount < 0 and digits else ""
    return f"{sign}{whole}.{fraction:0{DECIMALS}}".rstrip("0").rstrip(".")


def _take_off(amounts: list[Fraction | None], items: Sequence[Item], discount: Discount) -> None:
    """Takes a discount off the amounts, in place. No amount falls below zero."""
    hit = {
        position: amount
        for position, (amount, item) in enumerate(zip(amounts, items, strict=True))
        if amount is not None
        and amount > 0
        and discount.item in (None, position)
        and (discount.products is None or item.product in discount.products)
    }
    if discount.percent_off is not None:
        share = discount.percent_off / 100
    elif discount.amount_off_minor is not None and hit:
        shortest = min(items[position].months or Fraction(1) for position in hit)
        share = Fraction(discount.amount_off_minor) / shortest / sum(hit.values())
    else:
        return
    for position, amount in hit.items():
        amounts[position] = amount * max(Fraction(0), 1 - share)
