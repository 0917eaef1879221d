"""The simulated traffic: `events` makes genuine events, `deliveries` adds faults.

This module is pure: it uses no clock and no I/O. The same seed, count and options give the same
bytes in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from .actors import MERCHANT_NAMES, Customer, Merchant, new_card, new_customer, new_merchant
from .aftermath_lifecycles import aftermath
from .billing_lifecycles import change_card, subscribe
from .currencies import price
from .faults import Delivery, Faults, delivered
from .new_customers import introduce, sign_up
from .payment_lifecycles import attempt, new_payment, purchase
from .random_source import Dice, Weighted
from .rare_shapes import rare_shape
from .shapes import Json
from .world import DAY_S, Event, Lifecycle, World

EVENTS_PER_MERCHANT: Final = 250
MERCHANTS_MIN: Final = 10
MERCHANTS_MAX: Final = 1 + len(MERCHANT_NAMES)
EVENTS_PER_ARRIVAL: Final = 6.0
"""A first guess. `_arrivals` corrects the pace with the count of emitted events."""
STOLEN_CARDS: Final = 6

_ARRIVALS: Final = Weighted(
    {
        "purchase": 50.0,
        "first purchase": 22.0,
        "subscription": 14.0,
        "customer update": 6.0,
        "card change": 3.0,
        "customer deletion": 1.0,
        "ring purchase": 2.0,
        "card testing": 0.35,
        "rare shape": 16.0,
    }
)


@dataclass(frozen=True, slots=True)
class Period:
    """The simulated time: `days` days that end at `until`."""

    until: datetime
    days: int = 90
    livemode: bool = False


def deliveries(seed: int, count: int, period: Period, faults: Faults) -> Iterator[Delivery]:
    """Yield the deliveries of `count` genuine events and of the faults, in the order of sending."""
    return delivered(events(seed, count, period), faults, Dice(f"{seed}/faults"))


def events(seed: int, count: int, period: Period) -> Iterator[Event]:
    """Yield exactly `count` genuine events in chronological order."""
    return islice(_run(_new_world(seed, count, period), count), count)


def _run(world: World, count: int) -> Iterator[Event]:
    world.start(_arrivals(world, count))
    while True:
        world.step()
        if world.emitted:
            yield from world.emitted
            world.emitted.clear()


def _new_world(seed: int, count: int, period: Period) -> World:
    """Create the world with its merchants, its first customers and the stolen cards of a ring."""
    dice = Dice(seed)
    until_s = int(period.until.timestamp())
    start_s = until_s - period.days * DAY_S
    merchant_count = max(MERCHANTS_MIN, min(count // EVENTS_PER_MERCHANT, MERCHANTS_MAX))
    world = World(
        dice=dice,
        now_s=start_s,
        until_s=until_s,
        livemode=period.livemode,
        merchants=[new_merchant(dice, index) for index in range(merchant_count)],
        customers=[],
    )
    for _ in range(max(10, min(count // 50, 2000))):
        merchant = _merchant(world)
        since = start_s - dice.randrange(1, 300) * DAY_S
        card = new_card(dice, merchant.country)
        world.customers.append(new_customer(dice, merchant, card, since))
    world.stolen_cards.extend(new_card(dice, "US", stolen=True) for _ in range(STOLEN_CARDS))
    return world


def _merchant(world: World) -> Merchant:
    """Pick a merchant: the platform at least four times in ten, else any merchant."""
    if world.dice.chance(0.4):
        return world.merchants[0]
    return world.dice.choice(world.merchants)


def _arrivals(world: World, count: int) -> Lifecycle:
    """Start lifecycles at a pace that reaches `count` events at the end of the simulated time."""
    while True:
        world.start(_LIFECYCLES[world.dice.pick(_ARRIVALS)](world))
        left_s = max(world.until_s - world.now_s, 0.0)
        left = max(count - world.emitted_count, 1)
        yield world.dice.delay_s(max(left_s * EVENTS_PER_ARRIVAL / left, 1.0))


def _any_customer(world: World) -> Customer:
    return world.dice.choice(world.customers)


def _purchase(world: World) -> Lifecycle:
    yield from purchase(world, _any_customer(world))


def _first_purchase(world: World) -> Lifecycle:
    customer = sign_up(world, _merchant(world))
    yield 10 + world.dice.delay_s(120)
    yield from purchase(world, customer)


def _subscription(world: World) -> Lifecycle:
    customer = _any_customer(world)
    if customer.subscribed or world.dice.chance(0.7):
        customer = sign_up(world, _merchant(world))
        yield 5 + world.dice.delay_s(60)
    yield from subscribe(world, customer)


def _update(world: World) -> Lifecycle:
    """A customer changes the address or the phone number."""
    customer, dice = _any_customer(world), world.dice
    yield 0
    if dice.chance(0.5):
        changes: Json = {"phone": f"+1555{dice.randrange(10_000_000):07d}"}
    else:
        street = f"{dice.randrange(1, 200)} Sample Street"
        changes = {"address": {**customer.object["address"], "line1": street}}
    customer.object = world.change(customer.merchant, "customer.updated", customer.object, changes)


def _card_change(world: World) -> Lifecycle:
    yield 0
    change_card(world, _any_customer(world))


def _deletion(world: World) -> Lifecycle:
    customer = _any_customer(world)
    yield 0
    if len(world.customers) > 1 and not customer.deleted:
        customer.deleted = True
        world.customers.remove(customer)
        world.emit(customer.merchant, "customer.deleted", customer.object)


def _ring_purchase(world: World) -> Lifecycle:
    """A ring buys with one of its stolen cards as a new customer."""
    dice, merchant = world.dice, _merchant(world)
    if dice.chance(0.15):
        index = dice.randrange(STOLEN_CARDS)
        world.stolen_cards[index] = new_card(dice, "US", stolen=True)
    customer = new_customer(dice, merchant, dice.choice(world.stolen_cards), world.now)
    introduce(world, customer)
    for _ in range(dice.randint(1, 3)):
        yield 5 + dice.delay_s(200)
        world.start(purchase(world, customer, median_usd=180.0))


def _card_testing(world: World) -> Lifecycle:
    """A thief tests many stolen cards with small amounts, a few seconds apart."""
    dice, merchant = world.dice, _merchant(world)
    customer = new_customer(dice, merchant, new_card(dice, "US", stolen=True), world.now)
    world.emit(merchant, "customer.created", customer.object)
    for _ in range(dice.randint(8, 20)):
        customer.card = new_card(dice, merchant.country, stolen=True)
        customer.payment_method = dice.id("pm")
        payment = new_payment(
            world, customer, price(dice, merchant.currency, 1.5), merchant.currency
        )
        yield from attempt(world, payment)
        if payment.charge and payment.charge["captured"]:
            world.start(aftermath(world, customer, payment.charge))
        yield 3 + dice.delay_s(15)


_LIFECYCLES: Final = {
    "purchase": _purchase,
    "first purchase": _first_purchase,
    "subscription": _subscription,
    "customer update": _update,
    "card change": _card_change,
    "customer deletion": _deletion,
    "ring purchase": _ring_purchase,
    "card testing": _card_testing,
    "rare shape": rare_shape,
}
