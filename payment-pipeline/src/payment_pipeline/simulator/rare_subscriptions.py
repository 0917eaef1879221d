"""Rare shapes of subscriptions: coupons, several items, a pause of collection, old versions.

`rare_shapes` lists them.
"""

from dataclasses import replace
from typing import Final

from . import billing_objects as objects
from .actors import Customer
from .billing_lifecycles import Contract, end, subscribe, until
from .billing_objects import Addition, Coupon, Plan
from .currencies import CURRENCIES, minor, share
from .versions import OF_2016
from .world import DAY_S, HOUR_S, Lifecycle, World

PRICE_USD: Final = 50


def _plan(world: World, customer: Customer) -> Plan:
    """Return a monthly plan of one item, without a trial."""
    dice, code = world.dice, customer.merchant.currency
    return Plan(
        price=dice.id("price"),
        product=f"prod_{dice.text(14)}",
        currency=code,
        unit_amount_minor=minor(code, PRICE_USD * CURRENCIES[code].per_usd),
        quantity=1,
        interval="month",
        interval_days=30,
        trial_days=0,
    )


def _with(
    world: World,
    plan: Plan,
    amount_minor: int | None,
    *,
    interval: str = "month",
    is_metered: bool = False,
) -> Plan:
    """Return the plan with a second item."""
    dice = world.dice
    price, product = dice.id("price"), f"prod_{dice.text(14)}"
    return plan._replace(addition=Addition(price, product, amount_minor, interval, is_metered))


def percent_forever(world: World, customer: Customer) -> Lifecycle:
    """A coupon takes a percentage off every bill."""
    coupon = Coupon("forever", percent_off=world.dice.choice((10, 25, 50)))
    yield from subscribe(world, customer, _plan(world, customer)._replace(coupon=coupon))


def amount_for_some_months(world: World, customer: Customer) -> Lifecycle:
    """A coupon takes an amount off the bills of some months."""
    plan = _plan(world, customer)
    off = share(plan.currency, plan.unit_amount_minor, 0.3)
    coupon = Coupon("repeating", amount_off_minor=off, months=world.dice.choice((1, 3)))
    yield from subscribe(world, customer, plan._replace(coupon=coupon))


def percent_once(world: World, customer: Customer) -> Lifecycle:
    """A coupon takes a percentage off the first bill alone."""
    coupon = Coupon("once", percent_off=50)
    yield from subscribe(world, customer, _plan(world, customer)._replace(coupon=coupon))


def base_fee_and_usage(world: World, customer: Customer) -> Lifecycle:
    """A base fee and a metered item: the usage is not known in advance."""
    plan = _plan(world, customer)
    unit = share(plan.currency, plan.unit_amount_minor, 0.02)
    yield from subscribe(world, customer, _with(world, plan, unit, is_metered=True))


def base_fee_and_tiers(world: World, customer: Customer) -> Lifecycle:
    """A base fee and a metered item with tiers, which has no unit price."""
    plan = _with(world, _plan(world, customer), None, is_metered=True)
    yield from subscribe(world, customer, plan)


def mixed_intervals(world: World, customer: Customer) -> Lifecycle:
    """A monthly item and a yearly item in one subscription."""
    plan = _plan(world, customer)
    yearly = 6 * plan.unit_amount_minor
    yield from subscribe(world, customer, _with(world, plan, yearly, interval="year"))


def collection_paused(world: World, customer: Customer) -> Lifecycle:
    """The merchant pauses the collection for one period. Its invoice is voided."""
    yield from subscribe(world, customer, _plan(world, customer), _pause)


def _pause(world: World, contract: Contract) -> Lifecycle:
    merchant = contract.customer.merchant
    yield 5 * DAY_S
    paused = {"behavior": "void", "resumes_at": None}
    contract.change(world, "updated", {"pause_collection": paused})
    yield until(world, contract.object["current_period_end"])
    contract.change(world, "updated", objects.next_period(contract.object, contract.plan))
    invoice = objects.invoice(
        world.dice,
        world.now,
        contract.customer,
        contract.object,
        contract.plan,
        "subscription_cycle",
    )
    world.emit(merchant, "invoice.created", invoice)
    yield HOUR_S
    times = {**invoice["status_transitions"], "voided_at": world.now}
    world.change(
        merchant, "invoice.voided", invoice, {"status": "void", "status_transitions": times}
    )
    yield 5 * DAY_S
    contract.change(world, "updated", {"pause_collection": None})


def updates_within_a_second(world: World, customer: Customer) -> Lifecycle:
    """Two updates have the same time. Only their previous values give the order."""
    yield from subscribe(world, customer, _plan(world, customer), _update_twice)


def _update_twice(world: World, contract: Contract) -> Lifecycle:
    yield 4 * DAY_S
    contract.change(world, "updated", {"default_payment_method": world.dice.id("pm")})
    contract.plan = contract.plan._replace(quantity=3)
    items = contract.object["items"]
    more = {"items": {**items, "data": [{**items["data"][0], "quantity": 3}]}, "quantity": 3}
    contract.change(world, "updated", more)


def of_2016(world: World, customer: Customer) -> Lifecycle:
    """A subscription of an API version that had a plan and a quantity, and no items."""
    customer = replace(customer, merchant=replace(customer.merchant, api_version=OF_2016))
    plan = _plan(world, customer)
    made = objects.subscription(world.dice, world.now, customer, plan, "active")
    contract = Contract(customer, plan, made)
    contract.emit_creation(world)
    yield 10 * DAY_S
    contract.plan = plan._replace(quantity=2)
    contract.change(world, "updated", {"quantity": 2})
    yield 60 * DAY_S
    end(world, contract, "cancellation_requested")
