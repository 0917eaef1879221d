"""Rare shapes of payments: captures, releases, refunds and attempts that are easily misread.

Each function runs one payment of one customer. `rare_shapes` lists them.
"""

from dataclasses import replace
from typing import Final

from . import payment_objects as objects
from .actors import Customer
from .aftermath_lifecycles import fail_refund, start_refund, tell_refund
from .capture_lifecycles import capture, let_go
from .currencies import CURRENCIES, minor, share
from .payment import Payment
from .payment_lifecycles import fail, new_payment, succeed
from .payout_lifecycles import owe
from .random_source import Weighted
from .shapes import Json
from .simulated_declines import draw
from .true_money import booking
from .versions import OF_2017
from .world import DAY_S, HOUR_S, Lifecycle, World

_PRICES_USD: Final = Weighted({40: 2.0, 75: 2.0, 120: 1.0, 260: 0.5})


def order(world: World, customer: Customer, *, manual: bool) -> Payment:
    """Start a payment in the merchant's currency. A manual one has two steps: approval, capture."""
    amount, currency = _price(world, customer), customer.merchant.currency
    return new_payment(world, customer, amount, currency, manual=manual)


def paid(world: World, customer: Customer, *, manual: bool = False) -> Payment:
    """Return a payment that is approved at the first attempt, and captured unless manual."""
    payment = order(world, customer, manual=manual)
    succeed(world, payment, _approved(world, payment))
    return payment


def charged(world: World, customer: Customer, *, captured: bool) -> Payment:
    """Return a payment without a PaymentIntent, whose events are those of its charge."""
    dice, merchant = world.dice, customer.merchant
    amount = _price(world, customer)
    intent = objects.intent(dice, world.now, customer, amount, merchant.currency, None)
    intent["capture_method"] = "automatic" if captured else "manual"
    payment = Payment(customer, intent)
    charge = {**_approved(world, payment), "payment_intent": None}
    payment.charge = charge
    booked = booking(
        charge,
        "succeeded" if captured else "authorized",
        authorized_minor=amount,
        captured_minor=charge["amount_captured"],
    )
    world.emit(merchant, "charge.succeeded", charge, booked=booked)
    if captured:
        owe(world, merchant, merchant.currency, amount)
    return payment


def _price(world: World, customer: Customer) -> int:
    code = customer.merchant.currency
    return minor(code, world.dice.pick(_PRICES_USD) * CURRENCIES[code].per_usd)


def _approved(world: World, payment: Payment) -> Json:
    risk_score = world.dice.randint(0, 40)
    return objects.charge(
        world.dice, world.now, payment.customer, payment.intent, None, risk_score, None
    )


def _part(payment: Payment, of_amount: float) -> int:
    charge = payment.successful_charge
    return share(charge["currency"], charge["amount"], of_amount)


def partial_capture(world: World, customer: Customer) -> Lifecycle:
    """A part is captured and the rest released; some are refunded later."""
    payment = paid(world, customer, manual=True)
    yield HOUR_S + world.dice.delay_s(DAY_S)
    capture(world, payment, _part(payment, world.dice.uniform(0.6, 0.95)))
    if world.dice.chance(0.5):
        yield 2 * DAY_S
        amount = _part(payment, 0.2)
        start_refund(world, customer, payment.successful_charge, amount, "requested_by_customer")


def refund_told_by_charge_alone(world: World, customer: Customer) -> Lifecycle:
    """A partly captured charge is refunded, and no event has the refund itself."""
    payment = paid(world, customer, manual=True)
    yield HOUR_S
    capture(world, payment, _part(payment, world.dice.choice((0.6, 0.9))))
    yield DAY_S
    charge, amount = payment.successful_charge, _part(payment, 0.3)
    tell_refund(world, customer, charge, amount, booking(charge, refunded_minor=amount))


def uncaptured_charge_let_go(world: World, customer: Customer) -> Lifecycle:
    """An authorization is released, and no `payment_intent.canceled` tells it."""
    if world.dice.chance(0.5):
        payment = charged(world, customer, captured=False)
    else:
        payment = paid(world, customer, manual=True)
    yield HOUR_S + world.dice.delay_s(DAY_S)
    let_go(world, payment)


def incremental_authorization(world: World, customer: Customer) -> Lifecycle:
    """The issuer approves more than at first, and then all of it is captured."""
    payment = paid(world, customer, manual=True)
    merchant = customer.merchant
    yield HOUR_S
    more = _part(payment, 0.5)
    charge, amount = payment.successful_charge, payment.intent["amount"] + more
    approved = {"amount": amount, **objects.with_approved(charge, amount)}
    booked = booking(charge, authorized_minor=more)
    payment.charge = world.change(merchant, "charge.updated", charge, approved, booked)
    payment.intent = world.change(
        merchant,
        "payment_intent.amount_capturable_updated",
        payment.intent,
        objects.with_charge(payment.charge) | {"amount": amount, "amount_capturable": amount},
    )
    yield DAY_S
    capture(world, payment, amount)


def multicapture(world: World, customer: Customer) -> Lifecycle:
    """An authorization is captured in two steps, told by the intent and the charge."""
    yield from _captured_twice(world, customer, told_by_intent=True)


def multicapture_told_by_charges_alone(world: World, customer: Customer) -> Lifecycle:
    """An authorization is captured in two steps, and the intent does not tell it."""
    yield from _captured_twice(world, customer, told_by_intent=False)


def _captured_twice(world: World, customer: Customer, *, told_by_intent: bool) -> Lifecycle:
    payment = paid(world, customer, manual=True)
    yield HOUR_S
    first = _part(payment, 0.3)
    capture(world, payment, first, is_final=False, told_by_intent=told_by_intent)
    yield DAY_S
    whole = _part(payment, 0.8)
    capture(world, payment, whole, told_by_intent=told_by_intent)


def partial_authorization(world: World, customer: Customer) -> Lifecycle:
    """The issuer approves a part of the amount, and it is captured at once."""
    payment = order(world, customer, manual=False)
    yield 10
    charge = _approved(world, payment)
    approved = share(charge["currency"], charge["amount"], 0.6)
    part = objects.with_approved(charge, approved) | {"amount_captured": approved}
    succeed(world, payment, {**charge, **part})


def failure_told_twice(world: World, customer: Customer) -> Lifecycle:
    """Stripe sends two Event objects about one failure. The next attempt succeeds."""
    dice, merchant = world.dice, customer.merchant
    payment = order(world, customer, manual=False)
    yield 10
    decline = draw(dice, stolen=False)
    charge = objects.charge(dice, world.now, customer, payment.intent, decline, 20, None)
    booked = booking(charge, "failed", failed_attempts=1)
    world.emit(merchant, "charge.failed", charge, booked=booked)
    before = payment.intent
    fail(world, payment, decline, charge)
    changed = {name: before.get(name) for name, to in payment.intent.items() if before[name] != to}
    world.emit(merchant, "charge.failed", charge)
    world.emit(merchant, "payment_intent.payment_failed", payment.intent, changed)
    yield 60
    succeed(world, payment, _approved(world, payment))


def refund_made_again(world: World, customer: Customer) -> Lifecycle:
    """A refund fails, and the merchant makes it again."""
    payment = paid(world, customer)
    yield DAY_S
    amount = _part(payment, 0.4)
    made, charge = start_refund(world, customer, payment.successful_charge, amount, None)
    yield 3 * DAY_S
    charge = fail_refund(world, customer, charge, made)
    yield DAY_S
    start_refund(world, customer, charge, amount, None)


def charge_of_2017(world: World, customer: Customer) -> Lifecycle:
    """A charge of an old API version is refunded, and only the charge tells it."""
    customer = replace(customer, merchant=replace(customer.merchant, api_version=OF_2017))
    payment = charged(world, customer, captured=True)
    yield DAY_S
    charge, amount = payment.successful_charge, _part(payment, 0.25)
    tell_refund(world, customer, charge, amount, booking(charge, refunded_minor=amount))


def partial_capture_of_2017(world: World, customer: Customer) -> Lifecycle:
    """A charge of an old API version is partly captured, then partly refunded."""
    customer = replace(customer, merchant=replace(customer.merchant, api_version=OF_2017))
    payment = charged(world, customer, captured=False)
    yield HOUR_S
    capture(world, payment, _part(payment, 0.6), told_by_intent=False)
    yield DAY_S
    charge, amount = payment.successful_charge, _part(payment, 0.2)
    tell_refund(world, customer, charge, amount, booking(charge, refunded_minor=amount))
