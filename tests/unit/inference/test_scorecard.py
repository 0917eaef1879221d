"""The scorecard: exact reasons, and the same probabilities as scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from payment_pipeline.inference.scorecard import REASONS_MAX, Scorecard, Shape, fit
from payment_pipeline.inference.training_dataset import Flags, Floats

SHAPES = (
    Shape("risk_score", (-1.0, 0.0, 30.0, 100.0)),
    Shape("cvc_check_failed", (-1.0, 0.0, 1.0)),
    Shape("amount_log10_major", (0.0, 1.0, 2.0, 4.0), default=1.5),
)


def drawn(seed: int) -> tuple[Floats, Flags]:
    random = np.random.default_rng(seed)
    values = np.column_stack(
        [random.uniform(-1, 100, 3000), random.integers(-1, 2, 3000), random.uniform(0, 4, 3000)]
    ).astype(np.float64)
    log_odds = values[:, 0] / 25 + values[:, 1] - np.abs(values[:, 2] - 2) - 2
    return values, random.random(3000) < 1 / (1 + np.exp(-log_odds))


ESTIMATOR = fit(SHAPES, drawn(1), drawn(2), smoothing=1.0)
CARD = Scorecard(SHAPES, ESTIMATOR)
anything = arrays(np.float64, (7, 3), elements=st.floats(-1e6, 1e6))


@settings(max_examples=60)
@given(anything)
def test_compiled_is_what_was_fitted(values: Floats) -> None:
    """Beyond the outermost knots too, where both stay flat."""
    compiled = CARD.probabilities(CARD.contributions(values))
    assert compiled == pytest.approx(ESTIMATOR.predict_proba(values)[:, 1], abs=1e-9)


@settings(max_examples=60)
@given(anything)
def test_contributions_and_base_sum_to_the_log_odds(values: Floats) -> None:
    added = CARD.contributions(values)
    predicted = ESTIMATOR.predict_proba(values)[:, 1]
    log_odds = np.log(predicted / (1 - predicted))
    assert CARD.base_log_odds + added.sum(axis=1) == pytest.approx(log_odds, abs=1e-6)


def test_a_contribution_is_against_the_average_of_training() -> None:
    assert CARD.contributions(drawn(1)[0]).mean(axis=0) == pytest.approx(0, abs=1e-9)


def test_reasons_are_the_greatest_either_way_greatest_first() -> None:
    (reasons,) = CARD.reasons(np.array([[0.5, -2.0, 1.0]]))
    assert reasons == [
        {"feature": "cvc_check_failed", "contribution": -2.0},
        {"feature": "amount_log10_major", "contribution": 1.0},
        {"feature": "risk_score", "contribution": 0.5},
    ]
    many = Scorecard(SHAPES, ESTIMATOR)
    assert len(many.reasons(np.ones((1, 3)))[0]) == REASONS_MAX


def test_what_raises_the_odds_has_a_positive_contribution() -> None:
    risky, safe = CARD.contributions(np.array([[95.0, 1.0, 2.0], [0.0, -1.0, 2.0]]))
    assert risky[0] > 0 > safe[0]


def test_the_same_data_has_the_same_content() -> None:
    again = Scorecard(SHAPES, fit(SHAPES, drawn(1), drawn(2), smoothing=1.0))
    assert again.content() == CARD.content()
    other = Scorecard(SHAPES, fit(SHAPES, drawn(3), drawn(2), smoothing=1.0))
    assert other.content() != CARD.content()
