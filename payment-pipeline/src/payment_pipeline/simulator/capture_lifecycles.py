"""Parts of lifecycles that end an authorization: capture, release, expiry.

Until API version 2025-03-31.basil Stripe tells the release of an authorization as a refund, since
then it does not (`docs/guides/money.md`).
"""

from typing import Final

from . import payment_objects as objects
from .payment import Payment
from .payout_lifecycles import owe
from .shapes import Json
from .true_money import booking
from .versions import OF_2017, refunds_include_releases
from .world import DAY_S, HOUR_S, Lifecycle, World

AUTHORIZATION_EXPIRES_S: Final = 7 * DAY_S


def capture(
    world: World,
    payment: Payment,
    captured_minor: int,
    *,
    is_final: bool = True,
    told_by_intent: bool = True,
) -> None:
    """Capture an authorization, and release the rest if the capture is the final one.

    Args:
        world: the simulated world.
        payment: an authorized payment.
        captured_minor: the captured amount, with the amounts of earlier captures.
        is_final: whether no other capture follows.
        told_by_intent: whether Stripe also sends the event of the PaymentIntent.
    """
    dice, merchant, charge = world.dice, payment.customer.merchant, payment.successful_charge
    rest = charge["amount"] - captured_minor
    is_release = is_final and rest > 0 and refunds_include_releases(merchant.api_version)
    changes = {
        "amount_captured": captured_minor,
        "balance_transaction": dice.id("txn"),
        "captured": True,
    }
    if is_release:
        changes["amount_refunded"] = rest
    newly_minor = captured_minor - charge["amount_captured"]
    booked = booking(charge, "succeeded", captured_minor=newly_minor)
    payment.charge = world.change(merchant, "charge.captured", charge, changes, booked)
    if told_by_intent:
        _tell_capture(world, payment, captured_minor, is_final=is_final)
    if is_release:
        world.emit(merchant, "charge.refunded", payment.charge, {"amount_refunded": 0})
        if merchant.api_version > OF_2017:
            _emit_release(world, payment, rest, None)
    owe(world, merchant, charge["currency"], newly_minor)


def _tell_capture(world: World, payment: Payment, captured_minor: int, *, is_final: bool) -> None:
    charge = payment.successful_charge
    changes = objects.with_charge(charge) | {"amount_received": captured_minor}
    if is_final:
        event_type = "payment_intent.succeeded"
        changes |= {"amount_capturable": 0, "status": "succeeded"}
    else:
        event_type = "payment_intent.amount_capturable_updated"
        changes |= {"amount_capturable": charge["amount"] - captured_minor}
    merchant = payment.customer.merchant
    payment.intent = world.change(merchant, event_type, payment.intent, changes)


def let_go(world: World, payment: Payment) -> None:
    """Release an authorization that was never captured, told by the charge alone (before basil)."""
    charge = payment.successful_charge
    _emit_release(world, payment, charge["amount"], None)
    changes: Json = {"amount_refunded": charge["amount"], "refunded": True}
    merchant = payment.customer.merchant
    booked = booking(charge, "canceled")
    payment.charge = world.change(merchant, "charge.refunded", charge, changes, booked)


def capture_or_expire(world: World, payment: Payment, captured_minor: int) -> Lifecycle:
    """Capture an authorization after some time, or let it expire."""
    dice = world.dice
    if dice.chance(0.15):
        yield AUTHORIZATION_EXPIRES_S
        _expire(world, payment)
        return
    yield HOUR_S + dice.delay_s(DAY_S)
    capture(world, payment, captured_minor)


def _expire(world: World, payment: Payment) -> None:
    merchant, charge = payment.customer.merchant, payment.successful_charge
    booked = booking(charge, "canceled")
    if refunds_include_releases(merchant.api_version):
        changes: Json = {"amount_refunded": charge["amount"], "refunded": True}
        payment.charge = world.change(merchant, "charge.expired", charge, changes, booked)
        _emit_release(world, payment, charge["amount"], "expired_uncaptured_charge")
    else:
        world.emit(merchant, "charge.expired", charge, {}, booked)
    cancel(world, payment, "automatic")


def _emit_release(world: World, payment: Payment, amount_minor: int, reason: str | None) -> None:
    charge = payment.successful_charge
    refund = objects.refund(world.dice, world.now, charge, amount_minor, reason)
    world.emit(payment.customer.merchant, "refund.created", refund)


def cancel(world: World, payment: Payment, reason: str) -> None:
    """Cancel the PaymentIntent."""
    payment.intent = world.change(
        payment.customer.merchant,
        "payment_intent.canceled",
        payment.intent,
        {
            "amount_capturable": 0,
            "canceled_at": world.now,
            "cancellation_reason": reason,
            "status": "canceled",
        },
        booking(payment.intent, "canceled"),
    )
