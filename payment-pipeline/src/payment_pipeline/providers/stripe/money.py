"""In which unit does Stripe send an amount of a currency?

Source: Stripe, "Supported currencies" (zero-decimal, three-decimal and special cases), and ISO 4217
for every currency that Stripe doesn't name.

HUF and TWD are "zero-decimal for payouts only": their amounts are in hundredths like everybody's, a
payout's too; it only must be a whole multiple of 100. So they need no line here.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from payment_pipeline.domain.currency import EXPONENTS
from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.providers.reader import Fields, Reader


class Currency(NamedTuple):
    """A currency as an event has it."""

    code: str
    exponent: int


ZERO_DECIMAL: Final = (
    *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
    *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
)
"""Sent in the major unit. MGA has two decimals in ISO 4217, and none at Stripe."""
SENT_IN_HUNDREDTHS: Final = ("ISK", "UGX")
"""Without decimals in ISO 4217 (UGX also in Stripe's own list), yet sent in hundredths: both once
had two decimals, and Stripe kept the unit for those who had integrated it."""
THREE_DECIMAL: Final = ("BHD", "JOD", "KWD", "OMR", "TND")
"""Sent in thousandths, the last digit 0."""

CURRENCIES: Final[Mapping[str, Currency]] = {
    code.lower(): Currency(code, exponent)
    for code, exponent in {
        **EXPONENTS,
        **dict.fromkeys(ZERO_DECIMAL, 0),
        **dict.fromkeys(SENT_IN_HUNDREDTHS, 2),
        **dict.fromkeys(THREE_DECIMAL, 3),
    }.items()
}
"""Stripe's lower-case code → the code and the exponent of the amounts that Stripe sends in it."""


def currency(found: Reader, name: str = "currency", *, required: bool = False) -> Currency | None:
    """The currency in the field `name`; a code that isn't one is a fault of its own class."""
    code = found.text(name, required=required)
    if code is None:
        return None
    known = CURRENCIES.get(code)
    if known is None:
        message = "is not the lower-case code of an ISO 4217 currency"
        found.fault(name, message, FailureClass.UNKNOWN_CURRENCY)
    return known


def money(found: Reader, amount: str) -> Fields:
    """The common columns of an amount. Only a deleted object may be without it."""
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
