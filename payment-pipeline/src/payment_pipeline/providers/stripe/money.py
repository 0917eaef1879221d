"""The currencies of Stripe, with the unit in which Stripe sends their amounts.

Source: Stripe, "Supported currencies" (zero-decimal, three-decimal and special cases), and ISO 4217
for each currency that Stripe doesn't name.

HUF and TWD are "zero-decimal for payouts only". Stripe sends all their amounts in hundredths, and
an amount of a payout must be a multiple of 100. So they have their ISO 4217 exponent here.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from payment_pipeline.domain.currency import EXPONENTS
from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.providers.reader import Fields, Reader


class Currency(NamedTuple):
    """A currency of an event."""

    code: str
    exponent: int


ZERO_DECIMAL: Final = (
    *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
    *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
)
"""Currencies sent in the major unit. MGA has two decimals in ISO 4217, and none at Stripe."""
SENT_IN_HUNDREDTHS: Final = ("ISK", "UGX")
"""Currencies without decimals in ISO 4217 that Stripe sends in hundredths.

Both had two decimals in the past, and Stripe kept the unit for existing integrations. Stripe's
list of zero-decimal currencies names UGX too.
"""
THREE_DECIMAL: Final = ("BHD", "JOD", "KWD", "OMR", "TND")
"""Currencies sent in thousandths. The last digit is 0."""

CURRENCIES: Final[Mapping[str, Currency]] = {
    code.lower(): Currency(code, exponent)
    for code, exponent in {
        **EXPONENTS,
        **dict.fromkeys(ZERO_DECIMAL, 0),
        **dict.fromkeys(SENT_IN_HUNDREDTHS, 2),
        **dict.fromkeys(THREE_DECIMAL, 3),
    }.items()
}
"""Stripe's lower-case code → the ISO code and the exponent of Stripe's amounts."""


def currency(found: Reader, name: str = "currency", *, required: bool = False) -> Currency | None:
    """The currency in the field `name`. An unknown code has its own class of failure."""
    code = found.raw_text(name, required=required)
    if code is None:
        return None
    known = CURRENCIES.get(code)
    if known is None:
        message = "is not the lower-case code of an ISO 4217 currency"
        found.fault(name, message, FailureClass.UNKNOWN_CURRENCY)
    return known


def money(found: Reader, amount: str) -> Fields:
    """The common columns of an amount. Only a deleted object may lack the amount."""
    required = not found.flag("deleted")
    return {
        "amount_minor": found.amount(amount, required=required),
        **in_currency(currency(found, required=required)),
    }


def in_currency(known: Currency | None) -> Fields:
    """The common columns of a currency."""
    if known is None:
        return {}
    return {"currency": known.code, "currency_exponent": known.exponent}
