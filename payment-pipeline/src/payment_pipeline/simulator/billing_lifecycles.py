"""Lifecycles of subscriptions: start, trial, renewal, dunning, cancellation."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from . import billing_objects as objects
from .actors import Customer, new_card
from .billing_objects import Plan
from .currencies import CURRENCIES, minor
from .payment import Payment
from .payment_lifecycles import attempt, new_payment
from .payment_objects import payment_method
from .random_source import Dice, Weighted
from .shapes import Json
from .simulated_declines import AUTHENTICATION_FAILED
from .true_money import Billing
from .versions import names_discounts_only
from .world import DAY_S, HOUR_S, Lifecycle, LifecyclePart, World

RETRY_DAYS: Final = (1, 3, 3, 5)
"""Days between the attempts on a renewal. Their sum is within Stripe's two weeks."""
INCOMPLETE_EXPIRES_S: Final = 23 * HOUR_S
NOTICE_S: Final = 3 * DAY_S
"""How long before a renewal or a trial's end Stripe announces it."""
CHURN: Final = 0.06
"""The probability that a period is the last one."""
CHURN_AFTER_FAILURE: Final = 0.3
"""The probability that a period is the last one, after a payment has failed."""

BILLED: Final = ("active", "past_due")
"""The statuses in which a subscription is billed."""

_INTERVALS: Final = Weighted({("month", 30): 75.0, ("week", 7): 17.0, ("year", 365): 8.0})
_PRICES_USD: Final = (5, 9, 15, 29, 49, 99, 249)
_FEEDBACK: Final = ("too_expensive", "unused", "switched_service", "missing_features", None)


@dataclass(slots=True)
class Contract:
    """A subscription in its current state."""

    customer: Customer
    plan: Plan
    object: Json
    failed: bool = False
    """Whether any payment has failed. After a failure, customers leave more often."""

    def change(self, world: World, event_type: str, changes: Json) -> None:
        """Change the subscription and emit it."""
        after = {**self.object, **changes}
        billed = event_type != "deleted" and not after["pause_collection"]
        self.object = world.change(
            self.customer.merchant,
            f"customer.subscription.{event_type}",
            self.object,
            changes,
            self._billing(world, after, billed=billed),
        )

    def emit_creation(self, world: World) -> None:
        """Emit the subscription for the first time, and its discount."""
        merchant, made = self.customer.merchant, self.object
        booked = self._billing(world, made, billed=True)
        world.emit(merchant, "customer.subscription.created", made, booked=booked)
        if made["discount"]:
            world.emit(merchant, "customer.discount.created", made["discount"])

    def _billing(self, world: World, after: Json, *, billed: bool) -> Billing:
        plan = self.plan
        monthly = Fraction(0)
        if billed and after["status"] in BILLED:
            monthly = plan.monthly_minor(world.now - after["start_date"])
        version = self.customer.merchant.api_version
        only_named = plan.coupon is not None and names_discounts_only(version)
        unknown = plan.addition is not None and not plan.addition.is_known
        return Billing(after["id"], plan.currency, monthly, unknown, only_named)


Interlude: TypeAlias = Callable[[World, Contract], Lifecycle]
"""What happens in a subscription after its first payment."""


def new_plan(dice: Dice, currency: str) -> Plan:
    """Draw the plan of a new subscription."""
    interval, days = dice.pick(_INTERVALS)
    return Plan(
        price=dice.id("price"),
        product=f"prod_{dice.text(14)}",
        currency=currency,
        unit_amount_minor=minor(currency, dice.choice(_PRICES_USD) * CURRENCIES[currency].per_usd),
        quantity=dice.choice((1, 1, 1, 1, 2, 5)),
        interval=interval,
        interval_days=days,
        trial_days=dice.choice((0, 0, 0, 7, 14)),
    )


def subscribe(
    world: World, customer: Customer, plan: Plan | None = None, interlude: Interlude | None = None
) -> Lifecycle:
    """Run a subscription from its first day to its last.

    Args:
        world: the simulated world.
        customer: the payer.
        plan: the terms; `None` for a random plan.
        interlude: runs once, after the first payment.
    """
    dice = world.dice
    customer.subscribed = True
    plan = plan or new_plan(dice, customer.merchant.currency)
    status = "trialing" if plan.trial_days else "incomplete"
    contract = Contract(
        customer, plan, objects.subscription(dice, world.now, customer, plan, status)
    )
    contract.emit_creation(world)
    paid = yield from _bill(world, contract, "subscription_create")
    if status == "trialing":
        paid = yield from _trial(world, contract)
    elif paid:
        contract.change(world, "updated", {"status": "active"})
    else:
        yield INCOMPLETE_EXPIRES_S
        expired = {"ended_at": world.now, "status": "incomplete_expired"}
        contract.change(world, "updated", expired)
    if paid and interlude:
        yield from interlude(world, contract)
    while paid:
        paid = yield from _period(world, contract)
    customer.subscribed = False


def _trial(world: World, contract: Contract) -> LifecyclePart:
    """Run a trial. One in ten subscriptions is paused at the end of its trial."""
    ends = contract.object["trial_end"]
    yield until(world, ends - NOTICE_S)
    contract.change(world, "trial_will_end", {})
    yield until(world, ends)
    if not world.dice.chance(0.1):
        return (yield from _renew(world, contract))
    contract.change(world, "paused", {"status": "paused"})
    yield world.dice.delay_s(5 * DAY_S)
    if world.dice.chance(0.5):
        end(world, contract, "cancellation_requested")
        return False
    contract.change(world, "resumed", {"status": "active"})
    return True


def _period(world: World, contract: Contract) -> LifecyclePart:
    """Run a paid period and its renewal. Return false if no further period follows."""
    dice, plan = world.dice, contract.plan
    ends = contract.object["current_period_end"]
    last = dice.chance(CHURN_AFTER_FAILURE if contract.failed else CHURN)
    if last:
        yield dice.uniform(0.1, 0.8) * plan.period_s
        canceled = {"canceled_at": world.now, "cancellation_details": _reason(dice)}
        if dice.chance(0.3):
            contract.change(world, "updated", canceled)
            end(world, contract, "cancellation_requested")
            return False
        leaving = canceled | {"cancel_at": ends, "cancel_at_period_end": True}
        contract.change(world, "updated", leaving)
        yield until(world, ends)
        end(world, contract, "cancellation_requested")
        return False
    yield until(world, ends - NOTICE_S)
    _announce(world, contract)
    yield until(world, ends)
    if contract.customer.deleted:
        end(world, contract, "cancellation_requested")
        return False
    return (yield from _renew(world, contract))


def _announce(world: World, contract: Contract) -> None:
    """Emit `invoice.upcoming`. This preview is the only object without an id."""
    preview = objects.invoice(
        world.dice, world.now, contract.customer, contract.object, contract.plan, "upcoming"
    )
    del preview["id"]
    world.emit(contract.customer.merchant, "invoice.upcoming", preview)


def _renew(world: World, contract: Contract) -> LifecyclePart:
    """Start a new period and bill it. Return false if the bill is never paid."""
    period = objects.next_period(contract.object, contract.plan)
    if contract.object["status"] == "trialing":
        period["status"] = "active"
    contract.change(world, "updated", period)
    paid = yield from _bill(world, contract, "subscription_cycle")
    if not paid:
        end(world, contract, "payment_failed")
    elif contract.object["status"] == "past_due":
        contract.change(world, "updated", {"status": "active"})
    return paid


def _bill(world: World, contract: Contract, reason: str) -> LifecyclePart:
    """Run one invoice from draft to paid or written off. Return whether it was paid."""
    dice, customer = world.dice, contract.customer
    merchant = customer.merchant
    invoice = objects.invoice(dice, world.now, customer, contract.object, contract.plan, reason)
    world.emit(merchant, "invoice.created", invoice)
    if reason == "subscription_cycle":
        yield HOUR_S
    invoice = _finalize(world, customer, invoice)
    if invoice["amount_due"] == 0:
        _paid(world, customer, invoice, {})
        return True
    payment = new_payment(
        world, customer, invoice["amount_due"], invoice["currency"], invoice["id"]
    )
    retries = RETRY_DAYS if reason == "subscription_cycle" else ()
    for wait_days in (*retries, 0):
        yield from attempt(world, payment)
        paid = payment.charge is not None
        tried = objects.invoice_payment(dice, world.now, invoice, payment.intent, paid=paid)
        if paid:
            _paid(world, customer, invoice, tried)
            return True
        invoice = _unpaid(world, contract, invoice, payment, tried, wait_days)
        if not wait_days or not _worth_another_try(world, customer, payment):
            break
        yield wait_days * DAY_S
    _write_off(world, customer, invoice)
    return False


def _finalize(world: World, customer: Customer, invoice: Json) -> Json:
    number = f"{customer.object['invoice_prefix']}-{world.dice.randrange(10_000):04d}"
    url = f"https://invoice.stripe.com/i/{invoice['id']}"
    return world.change(
        customer.merchant,
        "invoice.finalized",
        invoice,
        {
            "effective_at": world.now,
            "hosted_invoice_url": url,
            "invoice_pdf": f"{url}/pdf",
            "number": number,
            "status": "open",
            "status_transitions": {**invoice["status_transitions"], "finalized_at": world.now},
            "webhooks_delivered_at": world.now,
        },
    )


def _paid(world: World, customer: Customer, invoice: Json, tried: Json) -> None:
    paid = tried | {
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "attempted": True,
        "next_payment_attempt": None,
        "paid": True,
        "status": "paid",
        "status_transitions": {**invoice["status_transitions"], "paid_at": world.now},
    }
    invoice = world.change(customer.merchant, "invoice.paid", invoice, paid)
    world.emit(customer.merchant, "invoice.payment_succeeded", invoice)


def _unpaid(
    world: World,
    contract: Contract,
    invoice: Json,
    payment: Payment,
    tried: Json,
    wait_days: int,
) -> Json:
    merchant = contract.customer.merchant
    contract.failed = True
    next_attempt = world.now + wait_days * DAY_S if wait_days else None
    failed = tried | {"next_payment_attempt": next_attempt}
    invoice = world.change(merchant, "invoice.payment_failed", invoice, failed)
    if payment.decline is AUTHENTICATION_FAILED:
        world.emit(merchant, "invoice.payment_action_required", invoice)
    if contract.object["status"] == "active":
        contract.change(world, "updated", {"status": "past_due"})
    return invoice


def _worth_another_try(world: World, customer: Customer, payment: Payment) -> bool:
    """Whether to try again: after a card change always, with the same card after a soft decline."""
    if world.dice.chance(0.35):
        change_card(world, customer)
        return True
    return payment.decline is not None and payment.decline.retriable


def change_card(world: World, customer: Customer) -> None:
    """The customer puts another card on file."""
    merchant = customer.merchant
    customer.card = new_card(world.dice, merchant.country)
    customer.payment_method = world.dice.id("pm")
    world.emit(merchant, "payment_method.attached", payment_method(customer, world.now))
    kept = customer.object["invoice_settings"]
    update = {"invoice_settings": {**kept, "default_payment_method": customer.payment_method}}
    customer.object = world.change(merchant, "customer.updated", customer.object, update)


def _write_off(world: World, customer: Customer, invoice: Json) -> None:
    status, event_type, stamp = (
        ("uncollectible", "invoice.marked_uncollectible", "marked_uncollectible_at")
        if world.dice.chance(0.7)
        else ("void", "invoice.voided", "voided_at")
    )
    written_off = {
        "next_payment_attempt": None,
        "status": status,
        "status_transitions": {**invoice["status_transitions"], stamp: world.now},
    }
    world.change(customer.merchant, event_type, invoice, written_off)


def end(world: World, contract: Contract, reason: str) -> None:
    """End a subscription."""
    details = {**contract.object["cancellation_details"], "reason": reason}
    ended = {"cancellation_details": details, "ended_at": world.now, "status": "canceled"}
    if contract.object["canceled_at"] is None:
        ended["canceled_at"] = world.now
    contract.change(world, "deleted", ended)


def _reason(dice: Dice) -> Json:
    return {"comment": None, "feedback": dice.choice(_FEEDBACK), "reason": "cancellation_requested"}


def until(world: World, at_s: float) -> float:
    """Return the seconds to wait until a simulated time."""
    return max(0.0, at_s - world.now_s)
