"""Every run of the default size has each rare shape, and the true money of its payments is sane."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from payment_pipeline.simulator import true_money
from payment_pipeline.simulator.rare_shapes import RARE_SHAPES
from payment_pipeline.simulator.traffic import Period, events
from payment_pipeline.simulator.world import Event

BASIL: Final = "2025-03-31"
DEFAULT_EVENTS: Final = 3000
GUIDE: Final = Path(__file__).parents[3] / "docs/guides/simulator.md"

Story = Sequence[dict[str, Any]]
"""The events of one object or payment."""


@pytest.fixture(scope="module", params=[1, 11])
def made(request: pytest.FixtureRequest) -> list[Event]:
    return list(events(request.param, DEFAULT_EVENTS, Period(datetime(2026, 6, 1, tzinfo=UTC))))


@pytest.fixture(scope="module")
def stories(made: list[Event]) -> list[Story]:
    """The events of each payment, subscription and customer."""
    by_charge: dict[str, str] = {}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in (orjson.loads(each.body) for each in made):
        thing = event["data"]["object"]
        kind = thing["object"]
        if kind == "charge":
            by_charge[thing["id"]] = thing["payment_intent"] or thing["id"]
        of_charge = by_charge.get(thing.get("charge") or "")
        name = thing.get("payment_intent") or of_charge or thing.get("id") or ""
        if kind == "charge":
            name = by_charge[thing["id"]]
        found[name if kind != "discount" else thing["subscription"]].append(event)
    return list(found.values())


def of_type(story: Story, event_type: str) -> list[dict[str, Any]]:
    return [event["data"]["object"] for event in story if event["type"] == event_type]


def before_basil(story: Story) -> bool:
    return all(event["api_version"] < BASIL for event in story)


def released(story: Story) -> bool:
    """A part of the authorization was released at the capture."""
    captures = of_type(story, "charge.captured")
    return len(captures) == 1 and captures[0].get("amount_captured", 0) < captures[0]["amount"]


def refunded_in_all(story: Story) -> int:
    return max((each["amount_refunded"] for each in of_type(story, "charge.refunded")), default=0)


def items(story: Story) -> list[dict[str, Any]]:
    made = of_type(story, "customer.subscription.created")
    return made[0].get("items", {}).get("data", []) if made else []


def statuses(story: Story) -> list[str]:
    return [
        event["data"]["object"]["status"]
        for event in story
        if event["type"].startswith("charge.dispute.")
    ]


def coupons(story: Story) -> list[dict[str, Any]]:
    found = of_type(story, "customer.subscription.created")
    return [each["discount"]["coupon"] for each in found if each.get("discount")]


def in_one_second(story: Story, event_type: str) -> bool:
    """Two updates of one second, and the second one says what it replaced."""
    return any(
        one["created"] == two["created"] and two["data"]["previous_attributes"]
        for one, two in pairwise(each for each in story if each["type"] == event_type)
    )


FOUND: Final[Mapping[str, Callable[[Story], object]]] = {
    "partial_capture_before_basil": lambda story: (
        before_basil(story) and released(story) and of_type(story, "refund.created")
    ),
    "partial_capture_since_basil": lambda story: (
        not before_basil(story)
        and released(story)
        and of_type(story, "charge.captured")[0]["amount_refunded"] == 0
    ),
    "refund_told_by_charge_alone": lambda story: (
        of_type(story, "payment_intent.created")
        and released(story)
        and refunded_in_all(story) > sum(e["amount"] for e in of_type(story, "refund.created"))
    ),
    "uncaptured_charge_let_go": lambda story: any(
        each["refunded"] and not each["captured"] for each in of_type(story, "charge.refunded")
    ),
    "incremental_authorization": lambda story: (
        len({e["amount"] for e in of_type(story, "payment_intent.amount_capturable_updated")}) > 1
    ),
    "multicapture": lambda story: (
        len(of_type(story, "charge.captured")) > 1 and of_type(story, "payment_intent.succeeded")
    ),
    "multicapture_told_by_charges_alone": lambda story: (
        len(of_type(story, "charge.captured")) > 1
        and not of_type(story, "payment_intent.succeeded")
    ),
    "partial_authorization": lambda story: any(
        0 < (each["payment_method_details"]["card"]["amount_authorized"] or 0) < each["amount"]
        for each in of_type(story, "charge.succeeded")
    ),
    "failure_told_twice": lambda story: any(
        count > 1 for count in Counter(e["id"] for e in of_type(story, "charge.failed")).values()
    ),
    "refund_made_again": lambda story: (
        of_type(story, "refund.failed") and len(of_type(story, "refund.created")) == 2
    ),
    "charge_of_2017": lambda story: (
        story[0]["api_version"] == "2017-08-15"
        and not of_type(story, "charge.captured")
        and refunded_in_all(story)
    ),
    "partial_capture_of_2017": lambda story: (
        story[0]["api_version"] == "2017-08-15" and of_type(story, "charge.captured")
    ),
    "dispute_partly_won": lambda story: any(
        each["status"] == "lost" and len(each["balance_transactions"]) == 2
        for each in of_type(story, "charge.dispute.closed")
    ),
    "dispute_in_another_currency": lambda story: any(
        each["currency"] != charge["currency"]
        for each in of_type(story, "charge.dispute.created")
        for charge in of_type(story, "charge.succeeded")
    ),
    "inquiry_then_chargeback": lambda story: (
        ["warning_closed", "needs_response"] in [list(pair) for pair in pairwise(statuses(story))]
    ),
    "dispute_won_after_its_close": lambda story: (
        ["lost", "won"] in [list(pair) for pair in pairwise(statuses(story))]
    ),
    "dispute_naming_only_the_charge": lambda story: any(
        each["payment_intent"] is None for each in of_type(story, "charge.dispute.created")
    ),
    "fraud_warning_naming_only_the_charge": lambda story: any(
        each["payment_intent"] is None
        for each in of_type(story, "radar.early_fraud_warning.created")
    ),
    "coupon_percent_forever": lambda story: (
        any(each["percent_off"] and each["duration"] == "forever" for each in coupons(story))
        or any("forever" in str(each) for each in of_type(story, "customer.discount.created"))
        or named_discount(story)
    ),
    "coupon_amount_for_some_months": lambda story: (
        any(each["amount_off"] and each["duration"] == "repeating" for each in coupons(story))
        or named_discount(story)
    ),
    "coupon_percent_once": lambda story: (
        any(each["percent_off"] and each["duration"] == "once" for each in coupons(story))
        or named_discount(story)
    ),
    "base_fee_and_usage": lambda story: any(
        each["price"]["recurring"]["usage_type"] == "metered" and each["price"]["unit_amount"]
        for each in items(story)
    ),
    "base_fee_and_tiers": lambda story: any(
        each["price"]["billing_scheme"] == "tiered" for each in items(story)
    ),
    "mixed_intervals": lambda story: (
        len({each["price"]["recurring"]["interval"] for each in items(story)}) > 1
    ),
    "collection_paused": lambda story: any(
        each["pause_collection"] for each in of_type(story, "customer.subscription.updated")
    ),
    "subscription_updated_twice_in_a_second": lambda story: in_one_second(
        story, "customer.subscription.updated"
    ),
    "subscription_of_2016": lambda story: any(
        "items" not in each for each in of_type(story, "customer.subscription.created")
    ),
    "customer_updated_twice_in_a_second": lambda story: in_one_second(story, "customer.updated"),
    "customer_in_both_modes": lambda story: len({event["livemode"] for event in story}) == 2,
}


def named_discount(story: Story) -> bool:
    """A subscription that names its discount by the id alone, as since basil."""
    return any(
        each["discounts"] and not each.get("discount")
        for each in of_type(story, "customer.subscription.created")
    )


def test_each_rare_shape_can_be_found() -> None:
    assert FOUND.keys() == RARE_SHAPES.keys()


@pytest.mark.parametrize("shape", FOUND)
def test_a_run_of_the_default_size_has_the_shape(stories: list[Story], shape: str) -> None:
    assert any(FOUND[shape](story) for story in stories)


def test_events_of_an_organization_have_a_context(made: list[Event]) -> None:
    envelopes = [orjson.loads(each.body) for each in made]
    found = [each for each in envelopes if "context" in each]
    assert found
    assert all("account" not in each and "/acct_" in each["context"] for each in found)


def test_the_guide_lists_every_rare_shape() -> None:
    text = GUIDE.read_text()
    assert {name for name in RARE_SHAPES if f"`{name}`" not in text} == set()


def test_true_money_is_never_more_than_was_captured(made: list[Event]) -> None:
    """It holds after every event, so also when a run ends in the middle of a payment."""
    found: dict[str, true_money.Booking] = {}
    for event in made:
        for name, change in true_money.payments([event]).items():
            found[name] = change.after(found[name]) if name in found else change
            money = found[name]
            assert 0 <= money.refunded_minor <= money.captured_minor <= money.authorized_minor
            assert 0 <= money.disputed_minor <= money.captured_minor
            assert money.net_minor >= 0 or money.is_disputed, "may claim what was refunded"
    assert found == true_money.payments(made)
    assert sum(money.net_minor > 0 for money in found.values()) > DEFAULT_EVENTS / 20


def test_a_released_authorization_is_no_refund(made: list[Event]) -> None:
    money = true_money.payments(made)
    canceled = [each for each in money.values() if each.state == "canceled"]
    assert any(each.authorized_minor for each in canceled)
    assert all(each.captured_minor == each.refunded_minor == 0 for each in canceled)
