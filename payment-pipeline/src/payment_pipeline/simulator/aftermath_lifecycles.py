"""Lifecycles after a successful charge: reviews, refunds, fraud warnings, disputes."""

from typing import Final

from . import payment_objects as objects
from .actors import Customer
from .currencies import share
from .payout_lifecycles import owe
from .random_source import Weighted
from .shapes import Json
from .world import DAY_S, HOUR_S, Lifecycle, World

_FATE: Final = Weighted(
    {"": 90.0, "refund": 3.5, "partial": 3.0, "fraud": 0.5, "dispute": 1.5, "updated": 1.5}
)
_STOLEN_FATE: Final = Weighted({"": 20.0, "refund": 10.0, "fraud": 60.0, "dispute": 10.0})
_DISPUTE_REASONS: Final = Weighted(
    {"product_not_received": 40, "product_unacceptable": 25, "duplicate": 15, "general": 20}
)
REFUND_FAILURE: Final = 0.04
DISPUTE_WON: Final = 0.35


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
        yield from _refund(world, customer, charge, charge["amount_captured"])
    elif fate == "partial":
        part = share(charge["currency"], charge["amount_captured"], dice.uniform(0.1, 0.7))
        yield dice.delay_s(6 * DAY_S)
        yield from _refund(world, customer, charge, part)
    elif fate == "fraud":
        yield from _fraud(world, customer, charge)
    elif fate == "dispute":
        yield 5 * DAY_S + dice.delay_s(12 * DAY_S)
        yield from _dispute(world, customer, charge, dice.pick(_DISPUTE_REASONS))


def _review(world: World, customer: Customer, charge: Json) -> Lifecycle:
    merchant = customer.merchant
    review = objects.review(world.dice, world.now, charge, customer)
    world.emit(merchant, "review.opened", review)
    yield HOUR_S + world.dice.delay_s(DAY_S / 3)
    closed = {"closed_reason": "approved", "open": False, "reason": "approved"}
    world.change(merchant, "review.closed", review, closed)


def _refund(
    world: World, customer: Customer, charge: Json, amount_minor: int, reason: str | None = None
) -> Lifecycle:
    """Refund a charge. `charge.refunded` contains the charge, the other events the refund."""
    dice, merchant = world.dice, customer.merchant
    reason = reason or dice.choice((None, "requested_by_customer", "duplicate"))
    refund = objects.refund(dice, world.now, charge, amount_minor, reason)
    world.emit(merchant, "refund.created", refund)
    total = charge["amount_refunded"] + amount_minor
    refunded = {"amount_refunded": total, "refunded": total == charge["amount_captured"]}
    charge = world.change(merchant, "charge.refunded", charge, refunded)
    owe(world, merchant, charge["currency"], -amount_minor)
    yield HOUR_S + dice.delay_s(DAY_S)
    if dice.chance(REFUND_FAILURE):
        failure = {"failure_reason": "expired_or_canceled_card", "status": "failed"}
        world.change(merchant, "refund.failed", refund, failure)
        owe(world, merchant, charge["currency"], amount_minor)
        return
    reference = f"{dice.randrange(10**11):011d}"
    card = {"reference": reference, "reference_status": "available", "type": "refund"}
    update = {"destination_details": {"card": card, "type": "card"}}
    refund = world.change(merchant, "charge.refund.updated", refund, update)
    world.emit(merchant, "refund.updated", refund, {"destination_details": None})


def _fraud(world: World, customer: Customer, charge: Json) -> Lifecycle:
    """The issuer warns of fraud. Then the merchant refunds, or the cardholder disputes."""
    dice, merchant = world.dice, customer.merchant
    yield DAY_S + dice.delay_s(5 * DAY_S)
    warning = objects.fraud_warning(dice, world.now, charge)
    world.emit(merchant, "radar.early_fraud_warning.created", warning)
    if dice.chance(0.3):
        yield dice.delay_s(DAY_S / 2)
        yield from _refund(world, customer, charge, charge["amount_captured"], "fraudulent")
        world.change(merchant, "radar.early_fraud_warning.updated", warning, {"actionable": False})
        return
    yield dice.delay_s(8 * DAY_S)
    yield from _dispute(world, customer, charge, "fraudulent")


def _dispute(world: World, customer: Customer, charge: Json, reason: str) -> Lifecycle:
    """Run a chargeback from its creation to the last balance transaction."""
    dice, merchant = world.dice, customer.merchant
    inquiry = reason != "fraudulent" and dice.chance(0.2)
    dispute = objects.dispute(dice, world.now, charge, reason, inquiry=inquiry)
    world.emit(merchant, "charge.dispute.created", dispute)
    if inquiry:
        yield from _inquiry(world, customer, dispute)
        return
    taken = objects.dispute_movement(dice, world.now, merchant, dispute, withdrawn=True)
    movement = {"balance_transactions": [taken]}
    dispute = world.change(merchant, "charge.dispute.funds_withdrawn", dispute, movement)
    merchant.balance_minor += taken["net"]
    world.change(merchant, "charge.updated", charge, {"disputed": True})
    if dice.chance(0.6):
        yield 2 * DAY_S + dice.delay_s(3 * DAY_S)
        evidence = {**dispute["evidence_details"], "has_evidence": True, "submission_count": 1}
        answered = {"evidence_details": evidence, "status": "under_review"}
        dispute = world.change(merchant, "charge.dispute.updated", dispute, answered)
    yield 10 * DAY_S + dice.delay_s(15 * DAY_S)
    won = dispute["status"] == "under_review" and dice.chance(DISPUTE_WON)
    closed = {"status": "won" if won else "lost"}
    dispute = world.change(merchant, "charge.dispute.closed", dispute, closed)
    if won:
        back = objects.dispute_movement(dice, world.now, merchant, dispute, withdrawn=False)
        movement = {"balance_transactions": [taken, back]}
        world.change(merchant, "charge.dispute.funds_reinstated", dispute, movement)
        merchant.balance_minor += back["net"]


def _inquiry(world: World, customer: Customer, dispute: Json) -> Lifecycle:
    """Run an inquiry. No money moves."""
    yield 2 * DAY_S + world.dice.delay_s(4 * DAY_S)
    answered = {"status": "warning_under_review"}
    dispute = world.change(customer.merchant, "charge.dispute.updated", dispute, answered)
    yield 20 * DAY_S
    closed = {"status": "warning_closed"}
    world.change(customer.merchant, "charge.dispute.closed", dispute, closed)
