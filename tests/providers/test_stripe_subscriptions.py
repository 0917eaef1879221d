"""What a Stripe subscription bills in a month, with its discounts and pauses."""

from typing import Any

import pytest

from payment_pipeline.domain.failures import FailureClass
from support.stripe_bodies import body, example
from support.stripe_events import fields, rejected

NOW = 1_750_000_000
"""The time of the events in `support.stripe_bodies`."""


def monthly(amount: int = 1000, product: str | None = None, **item: object) -> dict[str, Any]:
    """A monthly item."""
    price = {"unit_amount": amount, "currency": "usd", "recurring": {"interval": "month"}}
    return {"price": {**price, "product": product}, "quantity": 1, **item}


def read(*items: dict[str, Any], **changes: object) -> dict[str, Any]:
    found = example("subscription", currency="usd", discount=None, discounts=[])
    found |= {"pause_collection": None, "items": {"data": list(items or [monthly()])}, **changes}
    return fields("customer.subscription.updated", found)


def billed(*items: dict[str, Any], **changes: object) -> tuple[str | None, bool]:
    """The monthly amount, and whether a part of it is unknown."""
    found = read(*items, **changes)
    return found.get("monthly_amount_minor"), found["has_unknown_amount"]


HALF = {"id": "HALF", "percent_off": 50.0, "duration": "forever"}
THREE_OFF = {"id": "T", "amount_off": 300, "currency": "usd", "duration": "forever"}


@pytest.mark.parametrize(
    "discounted",
    [
        {"discount": {"id": "di_1", "coupon": HALF}},
        {"discount": {"id": "di_1", "source": {"type": "coupon", "coupon": HALF}}},
        {"discounts": [{"id": "di_1", "coupon": HALF}]},
        {"discounts": [{"id": "di_1", "source": {"coupon": HALF}}]},
        {"discount": {"id": "di_1", "coupon": HALF}, "discounts": ["di_1"]},
        {"discount": {"id": "di_1", "coupon": HALF}, "discounts": [{"id": "di_1", "coupon": HALF}]},
    ],
)
def test_a_coupon_is_found_in_every_version_and_taken_off_once(
    discounted: dict[str, Any],
) -> None:
    assert billed(**discounted) == ("500", False)


@pytest.mark.parametrize(
    "discounted",
    [
        {"discounts": ["di_1"]},
        {"discount": {"id": "di_1", "coupon": HALF}, "discounts": ["di_1", "di_2"]},
        {"discounts": [{"id": "di_1", "source": {"coupon": "HALF"}}]},
        {"discounts": [{"id": "di_1", "coupon": {**HALF, "percent_off": None}}]},
        {"discounts": [{"id": "di_1", "coupon": {**HALF, "percent_off": -5}}]},
        {"discounts": [{"id": "di_1", "coupon": {**HALF, "percent_off": 150.5}}]},
        {"discounts": [{"id": "di_1", "coupon": {**THREE_OFF, "amount_off": -300}}]},
        {"discounts": [{"id": "di_1", "coupon": {**THREE_OFF, "currency": "eur"}}]},
    ],
)
def test_a_discount_whose_value_is_not_said_makes_the_amount_unknown(
    discounted: dict[str, Any],
) -> None:
    assert billed(**discounted)[1]


@pytest.mark.parametrize(
    ("coupon", "amount"),
    [
        (HALF, "500"),
        ({**HALF, "percent_off": 12.5}, "875"),
        ({**HALF, "percent_off": 100}, "0"),
        (THREE_OFF, "700"),
        ({**THREE_OFF, "amount_off": 5000}, "0"),
        ({**HALF, "duration": "once"}, "1000"),
        ({**HALF, "duration": "repeating", "duration_in_months": 3}, "500"),
    ],
)
def test_a_coupon_that_is_taken_off_each_bill_counts(coupon: dict[str, Any], amount: str) -> None:
    assert billed(discounts=[{"id": "di_1", "coupon": coupon}]) == (amount, False)


@pytest.mark.parametrize(
    ("end", "amount"), [(NOW - 1, "1000"), (NOW, "1000"), (NOW + 1, "500"), (None, "500")]
)
def test_a_repeating_coupon_counts_until_it_ends(end: int | None, amount: str) -> None:
    coupon = {**HALF, "duration": "repeating"}
    assert billed(discounts=[{"id": "di_1", "coupon": coupon, "end": end}]) == (amount, False)


def test_an_amount_off_counts_if_only_the_items_say_the_currency() -> None:
    discounts = [{"id": "di_1", "coupon": THREE_OFF}]
    assert billed(discounts=discounts, currency=None) == ("700", False)


@pytest.mark.parametrize("product", ["prod_a", "a product that the merchant named"])
def test_a_coupon_of_one_product_leaves_the_others(product: str) -> None:
    coupon = {**HALF, "applies_to": {"products": [product]}}
    items = monthly(1000, product), monthly(400, "prod_b")
    assert billed(*items, discounts=[{"id": "di_1", "coupon": coupon}]) == ("900", False)


def test_a_discount_of_an_item_leaves_the_others() -> None:
    items = monthly(1000), monthly(400, discounts=[{"id": "di_1", "coupon": HALF}])
    assert billed(*items) == ("1200", False)
    assert billed(monthly(1000), monthly(400, discounts=["di_1"])) == ("1400", True)


def test_discounts_of_the_subscription_and_of_an_item_add_up() -> None:
    items = monthly(1000, discounts=[{"id": "di_2", "coupon": HALF}]), monthly(400)
    assert billed(*items, discounts=[{"id": "di_1", "coupon": HALF}]) == ("450", False)


def test_the_list_price_is_kept_beside_what_is_billed() -> None:
    found = read(discounts=[{"id": "di_1", "coupon": HALF}])
    assert (found["amount_minor"], found["monthly_amount_minor"]) == (1000, "500")


@pytest.mark.parametrize(
    "price",
    [
        {"billing_scheme": "tiered", "recurring": {"interval": "month"}},
        {"billing_scheme": "tiered", "recurring": {"interval": "month", "usage_type": "metered"}},
        {"unit_amount": 5, "recurring": {"interval": "month", "usage_type": "metered"}},
        {"unit_amount": None, "recurring": {"interval": "month"}},
        {"unit_amount": 5, "recurring": {}},
    ],
)
def test_a_part_that_is_not_known_in_advance_is_flagged(price: dict[str, Any]) -> None:
    assert billed(monthly(4900), {"price": price, "quantity": 1}) == ("4900", True)


def test_items_that_the_body_leaves_out_are_flagged() -> None:
    assert billed(items={"data": [monthly()], "has_more": True}) == ("1000", True)
    assert billed(items={"data": []}) == (None, True)


def test_a_pause_of_collection_is_told_with_its_end() -> None:
    paused = read(pause_collection={"behavior": "void", "resumes_at": NOW})
    assert paused["is_collection_paused"] is True
    assert paused["collection_resumes_at"] == "2025-06-15T15:06:40Z"
    assert paused["status"] == read()["status"], "the provider's status does not tell it"
    assert read()["is_collection_paused"] is False
    assert "collection_resumes_at" not in read(pause_collection={"behavior": "void"})


def test_the_values_before_an_update_are_read_like_the_values_after_it() -> None:
    before = {
        "status": "trialing",
        "cancel_at_period_end": True,
        "pause_collection": {"behavior": "void"},
        "items": {"data": [monthly(250)]},
        "metadata": {"note": "x"},
    }
    found = example("subscription", status="active", cancel_at_period_end=False)
    found |= {"items": {"data": [monthly()]}, "discounts": [], "pause_collection": None}
    changed = fields(
        "customer.subscription.updated",
        found,
        data={"object": found, "previous_attributes": before},
    )
    assert changed["previous"] == {
        "status": "trialing",
        "cancel_at_period_end": True,
        "is_collection_paused": True,
        "monthly_amount_minor": "250",
    }


@pytest.mark.parametrize("before", [{"items": 7}, {"items": {"data": [7]}}, {"created": "x"}, []])
def test_values_before_the_update_that_make_no_sense_are_left_out(before: object) -> None:
    found = example("subscription")
    sent = {"object": found, "previous_attributes": before}
    assert "previous" not in fields("customer.subscription.updated", found, data=sent)


@pytest.mark.parametrize("interval", ["month", "day"])
def test_an_amount_beyond_any_bill_is_rejected_with_its_path(interval: str) -> None:
    price = {"unit_amount": 2**63 - 1, "recurring": {"interval": interval}}
    items = {"data": [{"price": price, "quantity": 2**31 - 1}, monthly(product="prod_b")]}
    sent = body("customer.subscription.updated", example("subscription", items=items))
    assert rejected(sent) == (FailureClass.INVALID, {"data.object.items"})
