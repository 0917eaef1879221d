"""Simulated merchants, customers and cards, stolen cards included."""

from dataclasses import dataclass, field
from typing import Final

from .currencies import CURRENCIES, SETTLEMENT
from .random_source import Dice, Weighted
from .shapes import Json, template

API_VERSIONS: Final = (
    "2024-06-20",
    "2025-03-31.basil",
    "2026-06-24.dahlia",
    "2020-08-27",
    "2022-11-15",
)
"""All webhooks of a merchant have one API version. Merchants get the versions in turn."""
IN_ORGANIZATION: Final = 7
"""The merchant whose events come through its organization. Its API version has `context`."""

MERCHANT_NAMES: Final = (
    *("Northwind Books", "Blue Door Coffee", "Harbour Cycles", "Maple & Oak Furniture"),
    *("Sunrise Yoga Studio", "Copper Kettle Kitchenware", "Lantern Street Cinema"),
    *("Fern Hill Flowers", "Granite Climbing Gym", "Paper Crane Stationery"),
    *("Riverbend Outfitters", "Silver Fox Audio", "Juniper Skincare", "Old Mill Bakery"),
    *("Kite & Anchor Toys", "Cedar Lane Pharmacy", "Bright Pixel Software", "Tide Pool Swimwear"),
    *("Summit Trail Shoes", "Willow Creek Vets", "Corner Table Bistro", "Amber Glass Eyewear"),
    *("Quarry Stone Tiles", "Nine Owls Games", "Lemon Grove Meal Kits", "Iron Gate Tools"),
    *("Cloud Nine Bedding", "Red Kite Travel", "Stone Bridge Insurance", "Magnolia Dress Hire"),
    *("Pine Needle Knitwear", "Velvet Note Music School", "Golden Hour Photography"),
    *("Seven Seas Fish Market", "Clover Field Dairy", "Lighthouse Language School"),
    *("Marble Arch Jewellery", "Tangerine Bike Rental", "Whistling Kettle Tea"),
)
"""The names of the connected accounts. dbt's seed `merchant_names` has them too, by account."""

_BRANDS: Final = Weighted({"visa": 55, "mastercard": 33, "amex": 7, "discover": 3, "jcb": 2})
_FUNDING: Final = Weighted({"credit": 55, "debit": 38, "prepaid": 7})
_ABROAD: Final = Weighted({"US": 30, "GB": 15, "NG": 8, "BR": 8, "IN": 8, "FR": 15, "DE": 16})
_WALLETS: Final = Weighted({"": 80, "apple_pay": 12, "google_pay": 8})
_FIRST: Final = ("Ada", "Grace", "Linus", "Noor", "Jürgen", "Mei", "Zoë", "Omar", "Ines", "Ravi")
_LAST: Final = ("Byron", "Okafor", "Müller", "Tanaka", "Silva", "Haddad", "Novák", "Kim", "Roy")
_MAIL_DOMAINS: Final = ("example.com", "example.org", "example.net")
"""Domains reserved by RFC 2606, so no simulated address belongs to a person."""
_STREETS: Final = ("1 Sample Street", "22 Placeholder Road", "7 Test Avenue")


@dataclass(frozen=True, slots=True)
class Card:
    """A card. Its fingerprint is the same for every customer and merchant."""

    fingerprint: str
    brand: str
    last4: str
    funding: str
    country: str
    exp_month: int
    exp_year: int
    wallet: str
    decline_rate: float
    stolen: bool = False


@dataclass(slots=True)
class Merchant:
    """A connected account or the platform itself, with its balance."""

    account: str | None
    """`acct_…`, or `None` for the platform."""
    currency: str
    country: str
    api_version: str
    name: str
    bank: str
    organization: str | None = None
    """`org_…`: its events have a `context` instead of an `account`."""
    balance_minor: int = 0
    """The amount that a payout would move, in the settlement currency."""
    payments_to_payout: int = 0
    """How many more payments make the next payout due."""


@dataclass(slots=True)
class Customer:
    """A payer: the current Stripe object, and the card in use."""

    merchant: Merchant
    object: Json
    card: Card
    payment_method: str
    subscribed: bool = False
    deleted: bool = False
    cards: list[Card] = field(default_factory=list)

    @property
    def id(self) -> str:
        """`cus_…`."""
        return str(self.object["id"])


def new_merchant(dice: Dice, index: int) -> Merchant:
    """Create the platform (index 0, US dollars) or one of its connected accounts.

    The accounts are the same for every seed: a second simulation adds to the same merchants.
    """
    code = SETTLEMENT[index % len(SETTLEMENT)]
    return Merchant(
        account=None if index == 0 else f"acct_1SampleShop{index:05d}",
        currency=code,
        country=CURRENCIES[code].country,
        api_version=API_VERSIONS[index % len(API_VERSIONS)],
        name=MERCHANT_NAMES[index - 1] if index else "Sample Platform",
        bank=dice.id("ba"),
        organization="org_1SampleGroup" if index == IN_ORGANIZATION else None,
        payments_to_payout=dice.randint(10, 30),
    )


def new_card(dice: Dice, country: str, *, stolen: bool = False) -> Card:
    """Create a card. Most cards are from the merchant's country, most stolen cards are not."""
    funding = dice.pick(_FUNDING)
    abroad = dice.chance(0.7 if stolen else 0.08)
    return Card(
        fingerprint=dice.text(16),
        brand=dice.pick(_BRANDS),
        last4=f"{dice.randrange(10_000):04d}",
        funding=funding,
        country=dice.pick(_ABROAD) if abroad else country,
        exp_month=dice.randint(1, 12),
        exp_year=dice.randint(2027, 2032),
        wallet="" if stolen else dice.pick(_WALLETS),
        decline_rate=0.55 if stolen else 0.22 if funding == "prepaid" else dice.uniform(0.01, 0.12),
        stolen=stolen,
    )


def new_customer(dice: Dice, merchant: Merchant, card: Card, created: int) -> Customer:
    """Create a payer with a card on file. The personal data is invented, on reserved domains."""
    first, last = dice.choice(_FIRST), dice.choice(_LAST)
    mailbox = f"{first}.{last}.{dice.randrange(10_000)}".lower()
    payment_method = dice.id("pm")
    return Customer(
        merchant=merchant,
        card=card,
        payment_method=payment_method,
        object={
            **template("customer"),
            "id": f"cus_{dice.text(14)}",
            "created": created,
            "currency": merchant.currency,
            "address": {
                "city": "Sampleton",
                "country": merchant.country,
                "line1": dice.choice(_STREETS),
                "line2": None,
                "postal_code": f"{dice.randrange(100_000):05d}",
                "state": "SA",
            },
            "email": f"{mailbox}@{dice.choice(_MAIL_DOMAINS)}",
            "invoice_prefix": dice.text(7).upper(),
            "invoice_settings": {
                **template("customer")["invoice_settings"],
                "default_payment_method": payment_method,
            },
            "name": f"{first} {last}",
            "phone": f"+1555{dice.randrange(10_000_000):07d}",
            "preferred_locales": ["en"],
        },
    )
