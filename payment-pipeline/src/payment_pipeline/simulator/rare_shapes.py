"""The rare shapes of real payments that every simulated market has, in turn.

A shape is rare in real traffic and easily misread (`docs/guides/money.md`). About one lifecycle in
seven is a rare shape. The shapes are dealt like cards: each comes once before any comes again. So
each is about one in 200 lifecycles, and 3,000 events have all of them.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from . import rare_disputes as disputes
from . import rare_payments as payments
from . import rare_subscriptions as subscriptions
from .actors import Customer, Merchant
from .new_customers import sign_up
from .world import DAY_S, Lifecycle, World

BASIL: Final = "2025-03-31"
MIXED_INTERVALS: Final = "2025-07-30"
"""The first API version with items of several intervals in one subscription."""


class RareShape(NamedTuple):
    """A shape, and the API versions of merchants that have it."""

    run: Callable[[World, Customer], Lifecycle]
    since: str = ""
    before: str = "9999"


def _customer_updated_twice(world: World, customer: Customer) -> Lifecycle:
    """Two updates of a customer have the same time."""
    yield 2 * DAY_S
    merchant = customer.merchant
    moved = {"address": {**customer.object["address"], "country": "FR"}}
    customer.object = world.change(merchant, "customer.updated", customer.object, moved)
    overdue = {"delinquent": True}
    customer.object = world.change(merchant, "customer.updated", customer.object, overdue)


def _customer_in_both_modes(world: World, customer: Customer) -> Lifecycle:
    """The merchant chose a customer's id. The same id is another customer in the other mode."""
    yield 60
    custom_id = f"member-{world.dice.randrange(10**6)}"
    member = sign_up(world, customer.merchant, custom_id)
    twin = {**member.object, "address": {**member.object["address"], "country": "US"}}
    world.emit(member.merchant, "customer.created", twin, livemode=not world.livemode)
    yield DAY_S
    payments.paid(world, member)


RARE_SHAPES: Final[Mapping[str, RareShape]] = {
    "partial_capture_before_basil": RareShape(payments.partial_capture, before=BASIL),
    "partial_capture_since_basil": RareShape(payments.partial_capture, since=BASIL),
    "refund_told_by_charge_alone": RareShape(payments.refund_told_by_charge_alone),
    "uncaptured_charge_let_go": RareShape(payments.uncaptured_charge_let_go, before=BASIL),
    "incremental_authorization": RareShape(payments.incremental_authorization),
    "multicapture": RareShape(payments.multicapture),
    "multicapture_told_by_charges_alone": RareShape(payments.multicapture_told_by_charges_alone),
    "partial_authorization": RareShape(payments.partial_authorization, since=BASIL),
    "failure_told_twice": RareShape(payments.failure_told_twice),
    "refund_made_again": RareShape(payments.refund_made_again),
    "charge_of_2017": RareShape(payments.charge_of_2017),
    "partial_capture_of_2017": RareShape(payments.partial_capture_of_2017),
    "dispute_partly_won": RareShape(disputes.partly_won),
    "dispute_in_another_currency": RareShape(disputes.in_another_currency),
    "inquiry_then_chargeback": RareShape(disputes.inquiry_then_chargeback),
    "dispute_won_after_its_close": RareShape(disputes.won_after_its_close),
    "dispute_naming_only_the_charge": RareShape(disputes.naming_only_the_charge),
    "fraud_warning_naming_only_the_charge": RareShape(disputes.warning_naming_only_the_charge),
    "coupon_percent_forever": RareShape(subscriptions.percent_forever),
    "coupon_amount_for_some_months": RareShape(subscriptions.amount_for_some_months),
    "coupon_percent_once": RareShape(subscriptions.percent_once),
    "base_fee_and_usage": RareShape(subscriptions.base_fee_and_usage),
    "base_fee_and_tiers": RareShape(subscriptions.base_fee_and_tiers),
    "mixed_intervals": RareShape(subscriptions.mixed_intervals, since=MIXED_INTERVALS),
    "collection_paused": RareShape(subscriptions.collection_paused),
    "subscription_updated_twice_in_a_second": RareShape(subscriptions.updates_within_a_second),
    "subscription_of_2016": RareShape(subscriptions.of_2016),
    "customer_updated_twice_in_a_second": RareShape(_customer_updated_twice),
    "customer_in_both_modes": RareShape(_customer_in_both_modes),
}


def rare_shape(world: World) -> Lifecycle:
    """Run the next rare shape, with a new customer of a merchant that has it."""
    dice, left = world.dice, world.rare_shapes_left
    if not left:
        left.extend(dice.sample(list(RARE_SHAPES), len(RARE_SHAPES)))
    shape = RARE_SHAPES[left.pop()]
    customer = sign_up(world, dice.choice(_merchants(world, shape)))
    yield 5 + dice.delay_s(60)
    yield from shape.run(world, customer)


def _merchants(world: World, shape: RareShape) -> list[Merchant]:
    return [each for each in world.merchants if shape.since <= each.api_version < shape.before]
