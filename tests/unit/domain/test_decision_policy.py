"""The action with the smallest expected loss, its budget, and the messages of a wrong policy."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.domain.decision_policy import Action, CurrencyCosts, parse
from payment_pipeline.domain.failures import UserError

COSTS = CurrencyCosts(
    exponent=2,
    review_cost_minor=300,
    dispute_fee_minor=1500,
    lost_margin_bp=2500,
    goodwill_minor=1000,
    reviews_per_day_max=2,
)
USD = b"""
[currencies.USD]
exponent = 2
review_cost_minor = 300
dispute_fee_minor = 1500
lost_margin_bp = 2500
goodwill_minor = 1000
reviews_per_day_max = 2
"""


@pytest.mark.parametrize(
    ("score", "amount_minor", "action", "loss_minor"),
    [
        (0.001, 10_000, Action.ACCEPT, 12),  # 11.5 cents, rounded half up
        (0.5, 100, Action.REVIEW, 300),
        (0.2, 100_000, Action.REVIEW, 300),  # far below 0.9, but the amount is large
        (0.9, 100, Action.DECLINE, 103),  # a review costs more than it can save: 102.5 cents
        (0.999, 100_000, Action.DECLINE, 26),
        (0.0, 100_000, Action.ACCEPT, 0),
    ],
)
def test_the_cheapest_action_is_chosen(
    score: float, amount_minor: int, action: Action, loss_minor: int
) -> None:
    judged = COSTS.judge(score, amount_minor)
    assert (judged.action, judged.expected_loss_minor) == (action, loss_minor)


@given(
    score_ppm=st.integers(0, 1_000_000),
    amount=st.integers(1, 10**12),
    review=st.integers(0, 10**6),
    fee=st.integers(0, 10**6),
    margin=st.integers(0, 10_000),
    goodwill=st.integers(0, 10**6),
)
def test_no_other_action_is_expected_to_cost_less(
    score_ppm: int, amount: int, review: int, fee: int, margin: int, goodwill: int
) -> None:
    costs = CurrencyCosts(
        exponent=2,
        review_cost_minor=review,
        dispute_fee_minor=fee,
        lost_margin_bp=margin,
        goodwill_minor=goodwill,
        reviews_per_day_max=1,
    )
    judged = costs.judge(score_ppm / 1_000_000, amount)
    p = Fraction(score_ppm, 1_000_000)
    expected: dict[Action, Fraction] = {
        action: p * costs.loss_minor(action, amount, is_fraud=True)
        + (1 - p) * costs.loss_minor(action, amount, is_fraud=False)
        for action in Action
    }
    assert expected[judged.action] == min(expected.values())
    assert abs(judged.expected_loss_minor - expected[judged.action]) <= Fraction(1, 2)
    unreviewed = expected[judged.without_review]
    assert unreviewed == min(expected[Action.ACCEPT], expected[Action.DECLINE])
    assert judged.saving_ppm == max(Fraction(0), unreviewed - review) * 1_000_000


def test_a_days_reviews_go_to_the_highest_savings() -> None:
    amounts = [20_000, 80_000, 40_000, 100]
    day = [COSTS.judge(0.2, amount) for amount in amounts]
    assert COSTS.within_budget(day) == [
        Action.ACCEPT,  # wanted a review; the two of this day save more
        Action.REVIEW,
        Action.REVIEW,
        Action.ACCEPT,
    ]
    assert [one.action for one in day] == [Action.REVIEW] * 4


def test_a_payment_beyond_the_budget_gets_the_best_of_the_other_actions() -> None:
    nobody = COSTS.model_copy(update={"reviews_per_day_max": 0})
    day = [nobody.judge(0.2, 80_000), nobody.judge(0.7, 80_000)]
    assert [one.action for one in day] == [Action.REVIEW] * 2
    assert nobody.within_budget(day) == [Action.ACCEPT, Action.DECLINE]


def test_the_version_follows_the_content() -> None:
    first, again, other = parse(USD, "a"), parse(USD, "b"), parse(USD + b"# dearer\n", "a")
    assert first.version == again.version != other.version
    assert first.currencies["USD"] == COSTS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[currencies", "not TOML"),
        (b"\xff", "not TOML"),
        (b"", "currencies: Field required"),
        (b"[currencies]", "currencies: "),
        (USD.replace(b"USD", b"usd"), "currencies.usd"),
        (USD.replace(b"= 300", b"= 3.0"), "currencies.USD.review_cost_minor"),
        (USD.replace(b"= 300", b"= -1"), "currencies.USD.review_cost_minor"),
        (USD.replace(b"= 2500", b"= 10001"), "currencies.USD.lost_margin_bp"),
        (USD + b"reviews = 3\n", "currencies.USD.reviews"),
    ],
)
def test_a_wrong_policy_is_named_with_its_place(content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=r"The policy costs\.toml") as error:
        parse(content, "costs.toml")
    assert said in str(error.value)
