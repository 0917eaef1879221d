"""Merchants, customers and cards of the simulated year, with their hidden traits."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from numpy.random import Generator

NETWORKS: Final = {"visa": 0.52, "mastercard": 0.34, "amex": 0.08, "discover": 0.06}
CURRENCIES: Final = (("USD", 2, 1.0), ("EUR", 2, 0.9), ("JPY", 0, 150.0), ("KWD", 3, 0.3))
"""Code, the provider's exponent, and what a dollar's worth is in it, roughly."""
CURRENCY_SHARES: Final = (0.55, 0.30, 0.10, 0.05)
MERCHANTS: Final = 30


class Card(NamedTuple):
    """A card as it looks at one payment."""

    card_hash: str
    network: str
    funding: str
    country: str
    in_wallet: bool = False
    cvc_check: str | None = "pass"
    postal_code_check: str | None = "pass"


class Merchant(NamedTuple):
    """A connected account."""

    merchant_id: str
    mean_major: float
    """What a purchase costs, in dollars or their worth."""
    disputes: float
    """How many times the usual its honest customers dispute."""


@dataclass
class Customer:
    """A payer. The second half is hidden: no event shows it."""

    customer_id: str
    merchant: Merchant
    currency: str
    exponent: int
    dollar_worth: float
    joined_s: float
    card: Card

    spends: float = 1.0
    """Times the merchant's mean."""
    reliability: float = 1.0
    """How often there is money on the card; 1 is nearly always."""
    unhappy: bool = False
    """Leaves sooner, and comes less before it."""

    def minor(self, major_dollars: float) -> int:
        """Dollars' worth as this customer's minor units."""
        return max(1, round(major_dollars * self.dollar_worth * 10.0**self.exponent))


class Market:
    """All merchants and honest customers of the year."""

    def __init__(self, random: Generator, customers: int, days: int) -> None:
        self._random = random
        self._cards = 0
        self.merchants = [self._merchant(index) for index in range(MERCHANTS)]
        self.customers = [self._customer(index, days) for index in range(customers)]

    def new_card(self, prepaid: float = 0.04, abroad: float = 0.02) -> Card:
        """A card that nobody had; `prepaid` and `abroad` are probabilities."""
        random = self._random
        self._cards += 1
        funding = "prepaid" if random.random() < prepaid else pick(random, ("credit", "debit"))
        return Card(
            card_hash=f"card{self._cards:06d}",
            network=pick(random, tuple(NETWORKS), tuple(NETWORKS.values())),
            funding=funding,
            country="IN" if random.random() < abroad else "US",
            in_wallet=random.random() < 0.25,
            postal_code_check="pass" if random.random() < 0.97 else "fail",
        )

    def new_customer(self, customer_id: str, merchant: Merchant, joined_s: float) -> Customer:
        """Someone who pays one merchant, in one currency."""
        random = self._random
        code, exponent, worth = CURRENCIES[int(random.choice(len(CURRENCIES), p=CURRENCY_SHARES))]
        return Customer(
            customer_id=customer_id,
            merchant=merchant,
            currency=code,
            exponent=exponent,
            dollar_worth=worth,
            joined_s=joined_s,
            card=self.new_card(),
        )

    def _merchant(self, index: int) -> Merchant:
        random = self._random
        return Merchant(
            merchant_id=f"acct_{index}",
            mean_major=float(random.lognormal(3.6, 0.7)),
            disputes=4.0 if random.random() < 0.15 else 1.0,
        )

    def _customer(self, index: int, days: int) -> Customer:
        random = self._random
        merchant = self.merchants[int(random.integers(len(self.merchants)))]
        joined_s = float(random.random() ** 1.5 * days * 0.8) * 86_400
        customer = self.new_customer(f"cus_{index}", merchant, joined_s)
        customer.spends = float(random.lognormal(0.0, 0.4))
        customer.reliability = float(random.beta(8, 1.2))
        customer.unhappy = bool(random.random() < 0.22)
        return customer


def pick(random: Generator, among: tuple[str, ...], shares: tuple[float, ...] | None = None) -> str:
    """One of several, evenly or by their shares."""
    return among[int(random.choice(len(among), p=shares))]
