"""The fields of objects in each of Stripe's API versions.

Builders make objects with both the old and the new fields. `shaped` removes the fields that a
version does not have. Sources: Stripe's changelog for
2022-11-15 (a PaymentIntent's `charges` became `latest_charge`) and 2025-03-31.basil (an invoice's
`subscription`, `payment_intent` and `charge` became `parent` and `payments`; a subscription's
period moved to its items). A field of Stripe's example object becomes null and is not removed, so
that every object keeps at least the example's fields. Bodies of 2016 and 2017 lack fields that
Stripe added later to every version.
"""

from functools import cache
from typing import Final, NamedTuple

from .shapes import Json

_LATEST_CHARGE: Final = "2022-11-15"
_BASIL: Final = "2025-03-31"
_CLOVER: Final = "2025-09-30"
OF_2016: Final = "2016-03-07"
"""A version in which a subscription has a plan and no items."""
OF_2017: Final = "2017-08-15"
"""A version in which a charge does not say how much was captured, and refunds have no events."""

# Versions start with their date, so they compare as text.
_ABSENT_SINCE: Final[dict[str, dict[str, str]]] = {
    "payment_intent": {"charges": _LATEST_CHARGE, "invoice": _BASIL},
    "charge": {"invoice": _BASIL},
    "invoice": dict.fromkeys(("charge", "discount", "paid", "payment_intent", "tax"), _BASIL),
    "subscription": dict.fromkeys(
        ("current_period_end", "current_period_start", "discount", "plan", "quantity"), _BASIL
    ),
    "discount": {"coupon": _CLOVER},
}
_ABSENT_BEFORE: Final[dict[str, dict[str, str]]] = {
    "invoice": {"payments": _BASIL},
    "charge": {"amount_captured": "2020"},
    "subscription": {"items": "2016-07-06", "currency": "2017"},
}
_NULL_SINCE: Final[dict[str, dict[str, str]]] = {"invoice": {"subscription": _BASIL}}
_NULL_BEFORE: Final[dict[str, dict[str, str]]] = {
    "payment_intent": {"latest_charge": _LATEST_CHARGE},
    "invoice": {"parent": _BASIL},
    "discount": {"source": _CLOVER},
}


class _Changes(NamedTuple):
    absent: frozenset[str]
    null: frozenset[str]


@cache
def _changes(kind: str, version: str) -> _Changes:
    def since(table: dict[str, dict[str, str]]) -> set[str]:
        return {name for name, at in table.get(kind, {}).items() if version >= at}

    def before(table: dict[str, dict[str, str]]) -> set[str]:
        return {name for name, at in table.get(kind, {}).items() if version < at}

    return _Changes(
        absent=frozenset(since(_ABSENT_SINCE) | before(_ABSENT_BEFORE)),
        null=frozenset(since(_NULL_SINCE) | before(_NULL_BEFORE)),
    )


def refunds_include_releases(version: str) -> bool:
    """Whether Stripe tells the release of an authorization as a refund (until basil)."""
    return version < _BASIL


def names_discounts_only(version: str) -> bool:
    """Whether a subscription names its discounts by their ids alone (since basil)."""
    return version >= _BASIL


def shaped(kind: str, fields: Json, version: str) -> Json:
    """Return an object (or its previous attributes) in the shape of this API version."""
    absent, null = _changes(kind, version)
    if not absent and not null:
        return fields
    return {
        name: None if name in null else value
        for name, value in fields.items()
        if name not in absent
    }
