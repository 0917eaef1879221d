"""Lifecycles of payouts to the merchants' banks."""

from typing import Final

from . import billing_objects as objects
from .actors import Merchant
from .currencies import payable
from .payment_objects import settled
from .world import DAY_S, Lifecycle, World

FEE_SHARE: Final = 0.029
PAYMENTS_PER_PAYOUT: Final = (20, 60)
"""A payout is due after this many payments, so its share of the traffic is always the same."""


def owe(world: World, merchant: Merchant, currency: str, amount_minor: int) -> None:
    """Book a payment to the merchant (negative: a refund), and start a payout when one is due."""
    amount, _ = settled(merchant, currency, amount_minor)
    fee = round(amount * FEE_SHARE) if amount > 0 else 0
    merchant.balance_minor += amount - fee
    merchant.payments_to_payout -= 1
    if merchant.payments_to_payout == 0:
        merchant.payments_to_payout = world.dice.randint(*PAYMENTS_PER_PAYOUT)
        world.start(_payout(world, merchant), DAY_S - world.now_s % DAY_S)


def _payout(world: World, merchant: Merchant) -> Lifecycle:
    dice = world.dice
    amount = payable(merchant.currency, merchant.balance_minor)
    if amount == 0:
        return
    world.emit(merchant, "balance.available", objects.balance(merchant))
    merchant.balance_minor -= amount
    payout = objects.payout(dice, world.now, merchant, amount)
    world.emit(merchant, "payout.created", payout)
    if dice.chance(0.02):
        yield dice.delay_s(3600)
        world.change(merchant, "payout.canceled", payout, {"status": "canceled"})
        merchant.balance_minor += amount
        return
    yield DAY_S / 2
    trace = {"status": "supported", "value": dice.text(12)}
    payout = world.change(
        merchant, "payout.updated", payout, {"status": "in_transit", "trace_id": trace}
    )
    yield DAY_S + dice.delay_s(DAY_S / 2)
    if dice.chance(0.05):
        failure = {
            "failure_balance_transaction": dice.id("txn"),
            "failure_code": dice.choice(("account_closed", "no_account", "could_not_process")),
            "failure_message": "The bank could not process this transfer.",
            "status": "failed",
        }
        world.change(merchant, "payout.failed", payout, failure)
        merchant.balance_minor += amount
        return
    payout = world.change(merchant, "payout.paid", payout, {"status": "paid"})
    if dice.chance(0.5):
        yield DAY_S / 4
        done = {"reconciliation_status": "completed"}
        world.change(merchant, "payout.reconciliation_completed", payout, done)
