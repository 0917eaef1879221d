"""Lifecycles after a successful charge: reviews, refunds, fraud warnings, disputes."""

from typing import Final

from . import payment_objects as objects
from .actors import Customer
from .currencies import share
from .dispute_lifecycles import dispute
from .payout_lifecycles import owe
from .random_source import Weighted
from .shapes import Json
from .true_money import Booking, booking
from .versions import refunds_include_releases
from .world import DAY_S, HOUR_S, Lifecycle, World

_FATE: Final = Weighted(
    {"": 90.0, "refund": 3.5, "partial": 3.0, "fraud": 0.5, "dispute": 1.5, "updated": 1.5}
)
_STOLEN_FATE: Final = Weighted({"": 20.0, "refund": 10.0, "fraud": 60.0, "dispute": 10.0})
_DISPUTE_REASONS: Final = Weighted(
    {"product_not_received": 40, "product_unacceptable": 25, "duplicate": 15, "general": 20}
)
REFUND_FAILURE: Final = 0.04


def aftermath(world: World, customer: Customer, charge: Json) -> Lifecycle:
    """Run the events after a successful charge. Most charges have none."""
    dice = world.dice
    if charge["outcome"]["risk_level"] != "normal" and dice.chance(0.5):
        yield from _review(world, customer, charge)
    fate = dice.pick(_STOLEN_FATE if customer.card.stolen else _FATE)
    if fate == "updated":
        yield dice.delay_s(HOUR_S)
        number = {"receipt_number": f"{dice.randrange(10**4):04d}-{dice.randrange(10**4):04d}"}
        world.change(customer.merchant, "charge.updated", charge, number)
    elif fate == "refund":
        yield dice.delay_s(4 * DAY_S)
        yield from refund(world, customer, charge, charge["amount_captured"])
    elif fate == "partial":
        part = share(charge["currency"], charge["amount_captured"], dice.uniform(0.1, 0.7))
        yield dice.delay_s(6 * DAY_S)
        yield from refund(world, customer, charge, part)
    elif fate == "fraud":
        yield from _fraud(world, customer, charge)
    elif fate == "dispute":
        yield 5 * DAY_S + dice.delay_s(12 * DAY_S)
        yield from dispute(world, customer, charge, dice.pick(_DISPUTE_REASONS))


def _review(world: World, customer: Customer, charge: Json) -> Lifecycle:
    merchant = customer.merchant
    review = objects.review(world.dice, world.now, charge, customer)
    world.emit(merchant, "review.opened", review)
    yield HOUR_S + world.dice.delay_s(DAY_S / 3)
    closed = {"closed_reason": "approved", "open": False, "reason": "approved"}
    world.change(merchant, "review.closed", review, closed)


def refund(
    world: World, customer: Customer, charge: Json, amount_minor: int, reason: str | None = None
) -> Lifecycle:
    """Refund a charge. `charge.refunded` contains the charge, the other events the refund."""
    dice, merchant = world.dice, customer.merchant
    reason = reason or dice.choice((None, "requested_by_customer", "duplicate"))
    made, charge = start_refund(world, customer, charge, amount_minor, reason)
    yield HOUR_S + dice.delay_s(DAY_S)
    if dice.chance(REFUND_FAILURE):
        fail_refund(world, customer, charge, made)
        return
    reference = f"{dice.randrange(10**11):011d}"
    card = {"reference": reference, "reference_status": "available", "type": "refund"}
    update = {"destination_details": {"card": card, "type": "card"}}
    made = world.change(merchant, "charge.refund.updated", made, update)
    world.emit(merchant, "refund.updated", made, {"destination_details": None})


def start_refund(
    world: World, customer: Customer, charge: Json, amount_minor: int, reason: str | None
) -> tuple[Json, Json]:
    """Emit a new refund and its charge, and return both."""
    made = objects.refund(world.dice, world.now, charge, amount_minor, reason)
    booked = booking(charge, refunded_minor=amount_minor)
    world.emit(customer.merchant, "refund.created", made, booked=booked)
    return made, tell_refund(world, customer, charge, amount_minor)


def tell_refund(
    world: World, customer: Customer, charge: Json, amount_minor: int, booked: Booking | None = None
) -> Json:
    """Emit the charge of a refund, and return it. Until basil its total includes a release."""
    merchant = customer.merchant
    total = charge["amount_refunded"] + amount_minor
    whole = refunds_include_releases(merchant.api_version)
    refundable = charge["amount"] if whole else charge["amount_captured"]
    refunded = {"amount_refunded": total, "refunded": total == refundable}
    owe(world, merchant, charge["currency"], -amount_minor)
    return world.change(merchant, "charge.refunded", charge, refunded, booked)


def fail_refund(world: World, customer: Customer, charge: Json, made: Json) -> Json:
    """Emit the failure of a refund, and return the charge without the refund."""
    merchant, amount_minor = customer.merchant, made["amount"]
    failure = {"failure_reason": "expired_or_canceled_card", "status": "failed"}
    booked = booking(charge, refunded_minor=-amount_minor)
    world.change(merchant, "refund.failed", made, failure, booked)
    owe(world, merchant, charge["currency"], amount_minor)
    left = charge["amount_refunded"] - amount_minor
    return {**charge, "amount_refunded": left, "refunded": False}


def _fraud(world: World, customer: Customer, charge: Json) -> Lifecycle:
    """The issuer warns of fraud. Then the merchant refunds, or the cardholder disputes."""
    dice, merchant = world.dice, customer.merchant
    yield DAY_S + dice.delay_s(5 * DAY_S)
    warning = objects.fraud_warning(dice, world.now, charge)
    warned = booking(charge)._replace(is_fraud_warned=True)
    world.emit(merchant, "radar.early_fraud_warning.created", warning, booked=warned)
    if dice.chance(0.3):
        yield dice.delay_s(DAY_S / 2)
        yield from refund(world, customer, charge, charge["amount_captured"], "fraudulent")
        world.change(merchant, "radar.early_fraud_warning.updated", warning, {"actionable": False})
        return
    yield dice.delay_s(8 * DAY_S)
    yield from dispute(world, customer, charge, "fraudulent")
