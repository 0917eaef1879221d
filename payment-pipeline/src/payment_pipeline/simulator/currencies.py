"""The simulated currencies: their amounts as Stripe sends them, and realistic prices.

This table is separate from the normalizer's table, so that tests find an error in either of them.
Source: Stripe, "Supported currencies": zero-decimal, three-decimal (last digit 0), and ISK and UGX,
which have no decimals but are sent multiplied by 100.
"""

from fractions import Fraction
from typing import Final, NamedTuple

from .random_source import Dice


class Currency(NamedTuple):
    """How Stripe sends the amounts of one currency."""

    code: str
    """ISO 4217, in lower case, as Stripe sends it."""
    minor_per_major: int
    """How many of Stripe's minor units make one major unit of the currency."""
    step_minor: int
    """Every amount is a multiple of this number of Stripe's minor units."""
    per_usd: float
    """The approximate price of one US dollar, so that amounts look like prices."""
    country: str
    """The country of merchants with this currency, ISO 3166."""


_TABLE: Final = (
    Currency("usd", 100, 1, 1.0, "US"),
    Currency("eur", 100, 1, 0.9, "DE"),
    Currency("jpy", 1, 1, 150.0, "JP"),
    Currency("bhd", 1000, 10, 0.38, "BH"),
    Currency("isk", 100, 100, 138.0, "IS"),
    Currency("gbp", 100, 1, 0.8, "GB"),
    Currency("krw", 1, 1, 1350.0, "KR"),
    Currency("kwd", 1000, 10, 0.31, "KW"),
    Currency("ugx", 100, 100, 3700.0, "UG"),
    Currency("huf", 100, 1, 360.0, "HU"),
    Currency("cad", 100, 1, 1.4, "CA"),
    Currency("brl", 100, 1, 5.5, "BR"),
    Currency("inr", 100, 1, 85.0, "IN"),
    Currency("clp", 1, 1, 950.0, "CL"),
    Currency("vnd", 1, 1, 25_000.0, "VN"),
    Currency("twd", 100, 1, 32.0, "TW"),
    Currency("tnd", 1000, 10, 3.1, "TN"),
    Currency("xof", 1, 1, 600.0, "SN"),
)
CURRENCIES: Final = {currency.code: currency for currency in _TABLE}
SETTLEMENT: Final = tuple(CURRENCIES)
"""Merchants get these settlement currencies in turn: the first five include every exponent."""

PAYOUT_STEP_MINOR: Final = {"huf": 100, "twd": 100}
"""Currencies in which a payout must be a whole number of major units."""


def price(dice: Dice, code: str, median_usd: float = 35.0) -> int:
    """Draw a price in Stripe's minor units: log-normal, and above Stripe's minimum."""
    usd = max(1.0, min(dice.lognormvariate(0.0, 0.9) * median_usd, 5000.0))
    return minor(code, usd * CURRENCIES[code].per_usd)


def minor(code: str, major: float) -> int:
    """Convert major units to Stripe's minor units, rounded to an amount that Stripe accepts."""
    currency = CURRENCIES[code]
    step = currency.step_minor
    return max(step, round(major * currency.minor_per_major / step) * step)


def share(code: str, amount_minor: int, part: float) -> int:
    """Return a part of an amount, rounded down to a step that Stripe accepts, at least one step."""
    return max(CURRENCIES[code].step_minor, whole_steps(code, amount_minor * part))


def whole_steps(code: str, amount_minor: float | Fraction) -> int:
    """Round an amount down to a step that Stripe accepts."""
    step = CURRENCIES[code].step_minor
    return int(amount_minor) // step * step


def payable(code: str, amount_minor: int) -> int:
    """Round a balance towards zero to a multiple of the payout step."""
    step = PAYOUT_STEP_MINOR.get(code, CURRENCIES[code].step_minor)
    return int(amount_minor / step) * step
