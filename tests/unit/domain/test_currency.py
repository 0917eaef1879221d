"""The currencies are those of ISO 4217, and major amounts are exact."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.domain.currency import EXPONENTS, ISO_4217, WITHDRAWN, major
from payment_pipeline.providers.stripe.money import CURRENCIES


def test_the_table_holds_the_standards_codes() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)
    assert set(ISO_4217.values()) == {0, 2, 3, 4}
    assert not set(ISO_4217) & set(WITHDRAWN)
    assert {"XAU", "XDR", "XTS", "XXX", "BTC"}.isdisjoint(EXPONENTS)


@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        ("USD", 2),
        ("JPY", 0),
        ("ISK", 0),
        ("UGX", 0),
        ("MGA", 2),
        ("IQD", 3),
        ("CLF", 4),
        ("XCG", 2),
    ],
)
def test_an_exponent_is_the_standards(code: str, exponent: int) -> None:
    assert ISO_4217[code] == exponent


def test_stripe_differs_from_the_standard_in_three_currencies() -> None:
    differ = {
        known.code: known.exponent
        for known in CURRENCIES.values()
        if known.exponent != EXPONENTS[known.code]
    }
    assert differ == {"ISK": 2, "UGX": 2, "MGA": 0}


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 4))
def test_a_major_amount_is_exact(amount_minor: int, exponent: int) -> None:
    with localcontext(prec=2):  # a caller's context must not round
        found = major(amount_minor, exponent)
    with localcontext(prec=60):
        assert found * 10**exponent == amount_minor
    assert -found.as_tuple().exponent == exponent  # type: ignore[operator]


@given(st.lists(st.integers(-(10**12), 10**12), max_size=20), st.integers(0, 4))
def test_a_sum_of_majors_is_the_major_of_the_sum(amounts: list[int], exponent: int) -> None:
    assert sum((major(each, exponent) for each in amounts), Decimal(0)) == major(
        sum(amounts), exponent
    )


def test_a_major_amount_reads_as_people_write_it() -> None:
    assert str(major(109900, 2)) == "1099.00"
    assert str(major(-5, 3)) == "-0.005"
    assert str(major(500, 0)) == "500"
