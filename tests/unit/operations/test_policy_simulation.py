"""The money under today's threshold and under a policy, from a few past payments."""

from datetime import date
from pathlib import Path

import pytest

from payment_operations.policy_simulation import PastPayment, compared, read_policy
from payment_pipeline.domain.decision_policy import CurrencyCosts, DecisionPolicy
from payment_pipeline.domain.failures import UserError

POLICY = DecisionPolicy(
    "1",
    {
        "USD": CurrencyCosts(
            exponent=2,
            review_cost_minor=300,
            dispute_fee_minor=1500,
            lost_margin_bp=2500,
            goodwill_minor=1000,
            reviews_per_day_max=1,
        )
    },
)


def past(
    day: int,
    amount_minor: int,
    score: float,
    *,
    fraud: bool,
    currency: str = "USD",
    exponent: int = 2,
) -> PastPayment:
    return PastPayment(
        True, currency, exponent, date(2026, 1, day), amount_minor, score, is_fraud=fraud
    )


def test_each_side_is_charged_for_what_it_did() -> None:
    (found,) = compared(
        [
            past(1, 50_000, 0.3, fraud=True),  # missed today: 515.00; the policy reviews it: 3.00
            past(1, 1_000, 0.95, fraud=False),  # reviewed today: 3.00; declined: 12.50
            past(2, 20_000, 0.2, fraud=False),  # accepted today: 0; within the budget: 3.00
        ],
        POLICY,
        0.9,
    )
    assert (found.payments, found.frauds) == (3, 1)
    assert (found.today.loss_minor, found.today.reviews, found.today.declines) == (51_800, 1, 0)
    assert found.proposed.loss_minor == 300 + 1250 + 300
    assert (found.proposed.reviews, found.proposed.declines) == (2, 1)
    assert found.saved_by_day == [51_800 - 1550, -300]
    assert found.saved_minor == 49_950


def test_the_interval_comes_from_whole_days_and_is_the_same_again() -> None:
    rows = [
        past(day, 50_000, 0.3 if day % 3 else 0.001, fraud=day % 3 == 1) for day in range(1, 29)
    ]
    (found,) = compared(rows, POLICY, 0.9)
    (again,) = compared(rows, POLICY, 0.9)
    low, high = found.interval() or (0, 0)
    assert low < found.saved_minor < high
    assert again.interval() == (low, high)


def test_one_day_has_no_interval() -> None:
    (found,) = compared([past(1, 50_000, 0.3, fraud=True)], POLICY, 0.9)
    assert found.interval() is None


def test_a_currency_without_costs_is_counted_and_not_judged() -> None:
    found = compared(
        [
            past(1, 50_000, 0.3, fraud=True, currency="JPY", exponent=0),
            past(1, 50_000, 0.3, fraud=True, exponent=3),
        ],
        POLICY,
        0.9,
    )
    assert [(one.currency, one.is_judged, one.payments) for one in found] == [
        ("JPY", False, 1),
        ("USD", False, 1),
    ]


def test_the_example_policy_can_be_read() -> None:
    assert set(read_policy(None).currencies) == {"USD", "EUR", "GBP", "JPY"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml can't be read: No such file"):
        read_policy(tmp_path / "none.toml")
