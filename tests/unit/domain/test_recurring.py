"""The monthly amount of a subscription is what is billed, exactly."""

from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.domain.recurring import MONTHS_OF, Discount, Item, Monthly, monthly

BIGINT_MAX: Final = 2**63 - 1


def item(amount_minor: int | None, interval: str = "month", product: str | None = None) -> Item:
    amount = None if amount_minor is None else Fraction(amount_minor)
    return Item(amount, MONTHS_OF[interval], product)


def percent(off: int, **only: frozenset[str] | int) -> Discount:
    return Discount(percent_off=Fraction(off), **only)  # type: ignore[arg-type]


def fixed(off_minor: int, **only: frozenset[str] | int) -> Discount:
    return Discount(amount_off_minor=off_minor, **only)  # type: ignore[arg-type]


def known(*items: Item, discounts: tuple[Discount, ...] = ()) -> str | None:
    """The monthly amount of which no part is unknown."""
    found = monthly(items, discounts, all_told=True)
    assert not found.has_unknown_part
    return found.amount_minor


@pytest.mark.parametrize(
    ("interval", "amount_minor"),
    [
        ("month", "1200"),
        ("year", "100"),
        ("week", "5200"),
        ("day", "36500"),
    ],
)
def test_an_interval_is_converted_to_a_month(interval: str, amount_minor: str) -> None:
    assert known(item(1200, interval)) == amount_minor


def test_several_intervals_of_a_cycle_are_one_amount() -> None:
    assert known(Item(Fraction(3000), MONTHS_OF["month"] * 3)) == "1000"
    assert known(Item(Fraction(2400), MONTHS_OF["year"] * 2)) == "100"


def test_items_with_different_intervals_are_added() -> None:
    assert known(item(1000, "month"), item(12_000, "year")) == "2000"


@pytest.mark.parametrize(
    ("amount_minor", "text"),
    [
        (100, "8.333333"),
        (200, "16.666667"),
        (-200, "-16.666667"),
        (0, "0"),
        (6, "0.5"),
        (120_000_000, "10000000"),
    ],
)
def test_a_fraction_is_rounded_to_six_places(amount_minor: int, text: str) -> None:
    assert known(item(amount_minor, "year")) == text


def test_a_percentage_is_taken_off_every_item() -> None:
    assert known(item(1000), item(12_000, "year"), discounts=(percent(50),)) == "1000"
    assert known(item(1000), discounts=(percent(100),)) == "0"
    assert known(item(1000), discounts=(percent(0),)) == "1000"


def test_percentages_follow_one_another() -> None:
    assert known(item(1000), discounts=(percent(50), percent(50))) == "250"


def test_an_amount_is_taken_off_each_bill() -> None:
    assert known(item(1000), discounts=(fixed(300),)) == "700"
    assert known(item(12_000, "year"), discounts=(fixed(1200),)) == "900"


def test_an_amount_off_counts_for_each_cycle_of_the_shortest_item() -> None:
    """The subscription bills each month, so the coupon comes off each month."""
    assert known(item(1000), item(12_000, "year"), discounts=(fixed(300),)) == "1700"


def test_an_amount_off_is_no_more_than_the_bill() -> None:
    assert known(item(1000), discounts=(fixed(5000),)) == "0"


def test_a_discount_of_a_product_leaves_the_others() -> None:
    items = item(1000, product="a"), item(500, product="b"), item(200)
    only_a = frozenset({"a"})
    assert known(*items, discounts=(percent(50, products=only_a),)) == "1200"
    assert known(*items, discounts=(fixed(5000, products=only_a),)) == "700"
    assert known(*items, discounts=(fixed(5000, products=frozenset({"z"})),)) == "1700"


def test_a_discount_of_an_item_leaves_the_others() -> None:
    assert known(item(1000), item(500), discounts=(percent(50, item=1),)) == "1250"
    assert known(item(1000), item(500), discounts=(fixed(600, item=1),)) == "1000"


def test_a_discount_without_a_value_takes_nothing_off() -> None:
    assert known(item(1000), discounts=(Discount(),)) == "1000"


def test_the_known_part_counts_and_a_flag_says_that_a_part_is_unknown() -> None:
    for unknown in (item(None), Item(Fraction(5), None)):
        found = monthly([item(4900), unknown], [], all_told=True)
        assert found == Monthly("4900", has_unknown_part=True)
        assert monthly([unknown], [], all_told=True) == Monthly(None, has_unknown_part=True)


def test_without_any_item_nothing_is_known() -> None:
    assert monthly([], [], all_told=True) == Monthly(None, has_unknown_part=True)


def test_what_the_provider_did_not_send_is_unknown() -> None:
    assert monthly([item(100)], [], all_told=False) == Monthly("100", has_unknown_part=True)


def test_a_discount_touches_no_unknown_item() -> None:
    found = monthly([item(1000), item(None)], [fixed(300), percent(50)], all_told=True)
    assert found == Monthly("350", has_unknown_part=True)


def test_an_amount_of_any_size_is_exact() -> None:
    vast = Item(Fraction(BIGINT_MAX * 2**31), MONTHS_OF["month"])
    assert known(vast, vast) == str(BIGINT_MAX * 2**32)


PRODUCTS: Final = (None, "a", "b")
ITEMS: Final = st.lists(
    st.builds(
        Item,
        st.none() | st.integers(0, 10**9).map(Fraction),
        st.none() | st.sampled_from(list(MONTHS_OF.values())),
        st.sampled_from(PRODUCTS),
    ),
    max_size=4,
)
DISCOUNTS: Final = st.lists(
    st.builds(
        Discount,
        st.none() | st.integers(0, 150).map(Fraction),
        st.none() | st.integers(0, 10**9),
        st.none() | st.frozensets(st.sampled_from(["a", "b"])),
        st.none() | st.integers(0, 3),
    ),
    max_size=3,
)


@given(ITEMS, DISCOUNTS)
def test_the_order_of_the_items_changes_nothing(
    items: list[Item], discounts: list[Discount]
) -> None:
    found = monthly(items, discounts, all_told=True)
    for order in permutations(range(len(items))):
        moved = [
            each._replace(item=order.index(each.item))
            if each.item is not None and each.item < len(items)
            else each
            for each in discounts
        ]
        assert monthly([items[place] for place in order], moved, all_told=True) == found


@given(ITEMS, DISCOUNTS)
def test_a_discounted_amount_is_never_negative_and_never_more(
    items: list[Item], discounts: list[Discount]
) -> None:
    full = monthly(items, [], all_told=True)
    found = monthly(items, discounts, all_told=True)
    assert found.has_unknown_part == full.has_unknown_part
    if full.amount_minor is None or found.amount_minor is None:
        assert found == full
    else:
        assert 0 <= Decimal(found.amount_minor) <= Decimal(full.amount_minor)
