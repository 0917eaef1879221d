"""Lifecycles of payments: creation, attempts, declines, retries, capture or cancellation.

Each lifecycle (`world.Lifecycle`) emits Stripe's events in Stripe's order, and yields the seconds
between them.
"""

from typing import Final

from . import payment_objects as objects
from .actors import Customer, new_card
from .aftermath_lifecycles import aftermath
from .billing_objects import checkout_session
from .capture_lifecycles import cancel, capture_or_expire
from .currencies import price, share
from .payment import Payment
from .payout_lifecycles import owe
from .random_source import Weighted
from .shapes import Json
from .simulated_declines import AUTHENTICATION_FAILED, Decline, draw
from .true_money import booking
from .world import DAY_S, Lifecycle, LifecyclePart, World

TRIES_MAX: Final = 4
ABANDONED_AFTER_S: Final = DAY_S
EUROPE: Final = frozenset(("DE", "FR", "GB", "HU", "IS"))
"""Countries that require strong customer authentication."""

_ABROAD: Final = Weighted({"": 90, "usd": 5, "eur": 3, "jpy": 1, "kwd": 1})


def new_payment(
    world: World,
    customer: Customer,
    amount_minor: int,
    currency: str,
    invoice: str | None = None,
    *,
    manual: bool | None = None,
) -> Payment:
    """Create a payment, and emit its intent.

    Args:
        world: the simulated world.
        customer: the payer.
        amount_minor: the amount in Stripe's minor unit.
        currency: the currency of the amount.
        invoice: the invoice that the payment pays.
        manual: whether the merchant captures later; `None` for a random choice.
    """
    intent = objects.intent(world.dice, world.now, customer, amount_minor, currency, invoice)
    if manual is None:
        manual = invoice is None and world.dice.chance(0.06)
    if manual:
        intent["capture_method"] = "manual"
    booked = booking(intent, "created")
    world.emit(customer.merchant, "payment_intent.created", intent, booked=booked)
    return Payment(customer, intent)


def purchase(world: World, customer: Customer, median_usd: float = 35.0) -> Lifecycle:
    """Run one order, from the intent to the last event of the payment."""
    dice = world.dice
    currency = dice.pick(_ABROAD) or customer.merchant.currency
    payment = new_payment(world, customer, price(dice, currency, median_usd), currency)
    yield 5 + dice.delay_s(40)
    for _ in range(TRIES_MAX):
        yield from attempt(world, payment)
        if payment.charge or dice.chance(0.55):
            break
        yield 20 + dice.delay_s(300)
        if payment.decline and (not payment.decline.retriable or dice.chance(0.3)):
            customer.card = new_card(dice, customer.merchant.country, stolen=customer.card.stolen)
            customer.payment_method = dice.id("pm")
    if payment.charge is None:
        yield from _abandon(world, payment)
        return
    if payment.intent["status"] == "requires_capture":
        amount = payment.charge["amount"]
        if dice.chance(0.2):
            amount = share(currency, amount, dice.uniform(0.5, 0.95))
        yield from capture_or_expire(world, payment, amount)
        if payment.intent["status"] == "canceled":
            return
    if dice.chance(0.1):
        session = checkout_session(dice, world.now, customer, payment.intent)
        world.emit(customer.merchant, "checkout.session.completed", session)
    yield from aftermath(world, customer, payment.charge)


def attempt(world: World, payment: Payment) -> Lifecycle:
    """Try the customer's card once, and set `payment.charge` or `payment.decline`."""
    dice, customer = world.dice, payment.customer
    payment.charge = payment.decline = None
    authenticated = None
    if dice.chance(0.3 if customer.merchant.country in EUROPE else 0.05):
        if not (yield from _authenticate(world, payment)):
            fail(world, payment, AUTHENTICATION_FAILED, None)
            return
        authenticated = "authenticated"
    card = customer.card
    risk_score = dice.randint(55, 95) if card.stolen else min(dice.randint(0, 64), 99)
    decline = draw(dice, stolen=card.stolen) if dice.chance(card.decline_rate) else None
    charge = objects.charge(
        dice, world.now, customer, payment.intent, decline, risk_score, authenticated
    )
    if decline is None:
        succeed(world, payment, charge)
        return
    booked = booking(charge, "failed", failed_attempts=1)
    world.emit(customer.merchant, "charge.failed", charge, booked=booked)
    fail(world, payment, decline, charge)


def _authenticate(world: World, payment: Payment) -> LifecyclePart:
    """Run a 3-D Secure challenge. Return whether the payer passed."""
    dice, customer = world.dice, payment.customer
    payment.intent = world.change(
        customer.merchant,
        "payment_intent.requires_action",
        payment.intent,
        {
            "last_payment_error": None,
            "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure"}},
            "payment_method": customer.payment_method,
            "status": "requires_action",
        },
        booking(payment.intent, "requires_action"),
    )
    yield 10 + dice.delay_s(60)
    return not dice.chance(0.12)


def succeed(world: World, payment: Payment, charge: Json) -> None:
    """Emit the success of an attempt: an authorization, or a payment that is captured at once."""
    merchant, intent = payment.customer.merchant, payment.intent
    payment.charge = charge
    approved = charge["payment_method_details"]["card"]["amount_authorized"]
    captured = charge["amount_captured"]
    state = "succeeded" if captured else "authorized"
    booked = booking(charge, state, authorized_minor=approved, captured_minor=captured)
    world.emit(merchant, "charge.succeeded", charge, booked=booked)
    done = objects.with_charge(charge) | {"last_payment_error": None, "next_action": None}
    if intent["capture_method"] == "manual":
        done |= {"amount_capturable": approved, "status": "requires_capture"}
        event_type = "payment_intent.amount_capturable_updated"
    else:
        done |= {"amount_received": captured, "status": "succeeded"}
        event_type = "payment_intent.succeeded"
        owe(world, merchant, intent["currency"], captured)
    payment.intent = world.change(merchant, event_type, intent, done)


def fail(world: World, payment: Payment, decline: Decline, charge: Json | None) -> None:
    """Emit the failure of an attempt. There is no charge if the payer was not authenticated."""
    customer = payment.customer
    payment.decline = decline
    method = objects.payment_method(customer, world.now)
    error = decline.error(customer.card.brand, charge["id"] if charge else None, method)
    failed = objects.with_charge(charge) if charge else {}
    payment.intent = world.change(
        customer.merchant,
        "payment_intent.payment_failed",
        payment.intent,
        failed
        | {
            "last_payment_error": error,
            "next_action": None,
            "payment_method": None,
            "status": "requires_payment_method",
        },
        booking(payment.intent, "failed", failed_attempts=0 if charge else 1),
    )


def _abandon(world: World, payment: Payment) -> Lifecycle:
    """Abandon the payment. Only some abandoned payments are canceled."""
    if not world.dice.chance(0.4):
        return
    yield ABANDONED_AFTER_S
    cancel(world, payment, "abandoned")
