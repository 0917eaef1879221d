"""An additive, calibrated classifier that scores events and gives exact reasons.

Each feature has a shape: a piecewise linear function through a few knots. The log-odds are the sum
of the shapes, so the contribution of each feature is exact. In scikit-learn each feature has a
centred spline of degree 1, followed by a logistic regression and Platt's sigmoid, fitted on a later
span of time. The sigmoid is linear in log-odds, so the log-odds stay a sum.

The store keeps the estimator of scikit-learn. For serving, `Scorecard` compiles it to one table per
feature for `numpy.interp`. A test checks that both give the same probabilities.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from .training_dataset import FEATURE_NAMES, Flags, Floats

REASONS_MAX: Final = 3
"""How many reasons an answer gives."""
MISSING: Final = -1.0
"""The value of an unknown feature if "unknown" carries information. It has its own knot."""

_ITERATIONS_MAX: Final = 1000


class Shape(NamedTuple):
    """The knots at which the log-odds of one feature may bend."""

    feature: str
    knots: tuple[float, ...]
    """Ascending. The line is straight between the knots and flat outside them."""
    default: float = MISSING
    """The value that replaces an unknown value."""


def filled(features: Floats, shapes: Sequence[Shape]) -> Floats:
    """The shapes' columns of a matrix over `FEATURE_NAMES`, unknown values replaced."""
    chosen = features[:, [FEATURE_NAMES.index(shape.feature) for shape in shapes]]
    return np.where(np.isnan(chosen), [shape.default for shape in shapes], chosen)


def fit(
    shapes: Sequence[Shape],
    train: tuple[Floats, Flags],
    calibration: tuple[Floats, Flags],
    *,
    smoothing: float = 1.0,
) -> BaseEstimator:
    """Fit the shapes on one span of time, and the sigmoid on the next.

    Args:
        shapes: one a column of the matrices.
        train: matrix and labels.
        calibration: matrix and labels of a later span.
        smoothing: of the shapes: the inverse of scikit-learn's `C`.
    """
    splines = [
        (
            f"{index}:{shape.feature}",
            SplineTransformer(degree=1, knots=np.array(shape.knots)[:, None]),
            [index],
        )
        for index, shape in enumerate(shapes)
    ]
    additive = Pipeline(
        [
            ("shapes", ColumnTransformer(splines)),
            ("centre", StandardScaler(with_std=False)),
            ("sum", LogisticRegression(C=1 / smoothing, max_iter=_ITERATIONS_MAX)),
        ]
    ).fit(*train)
    return CalibratedClassifierCV(FrozenEstimator(additive), method="sigmoid").fit(*calibration)


class Scorecard:
    """A compiled estimator: a table of points for each feature, and the average log-odds."""

    def __init__(self, shapes: Sequence[Shape], estimator: BaseEstimator) -> None:
        """Compile an estimator of `fit`: read the values of its shapes at their knots."""
        calibrated = estimator.calibrated_classifiers_[0]
        (sigmoid,) = calibrated.calibrators
        additive = calibrated.estimator.estimator
        centre, weights = additive["centre"].mean_, additive["sum"].coef_[0]
        splines = [found for _, found, _ in additive["shapes"].transformers_]
        self.shapes = tuple(shapes)
        self.base_log_odds = -float(sigmoid.a_ * additive["sum"].intercept_[0] + sigmoid.b_)
        """The log-odds of the average training event. Contributions are relative to it."""
        self.points: list[Floats] = []
        start = 0
        for shape, spline in zip(shapes, splines, strict=True):
            basis = spline.transform(np.array(shape.knots)[:, None])
            part = slice(start, start + basis.shape[1])
            self.points.append(-sigmoid.a_ * ((basis - centre[part]) @ weights[part]))
            start = part.stop

    def contributions(self, values: Floats) -> Floats:
        """Log-odds that each column adds to the average's, (events, shapes)."""
        added = np.empty_like(values)
        for index, (shape, points) in enumerate(zip(self.shapes, self.points, strict=True)):
            added[:, index] = np.interp(values[:, index], shape.knots, points)
        return added

    def probabilities(self, contributions: Floats) -> Floats:
        """Return one calibrated probability for each event."""
        log_odds = self.base_log_odds + contributions.sum(axis=1)
        odds: Floats = 1.0 / (1.0 + np.exp(-log_odds))
        return odds

    def reasons(self, contributions: Floats) -> list[list[dict[str, object]]]:
        """Return the `REASONS_MAX` largest contributions of each event by absolute value."""
        order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :REASONS_MAX]
        greatest = np.take_along_axis(contributions, order, axis=1).round(4).tolist()
        names = [shape.feature for shape in self.shapes]
        return [
            [
                {"feature": names[column], "contribution": added}
                for column, added in zip(of_event, by_event, strict=True)
            ]
            for of_event, by_event in zip(order.tolist(), greatest, strict=True)
        ]

    def content(self) -> dict[str, object]:
        """Return everything that decides a score, rounded. Equal content means an equal model."""
        return {
            "base_log_odds": round(self.base_log_odds, 6),
            "shapes": [
                [shape.feature, shape.default, list(shape.knots), points.round(6).tolist()]
                for shape, points in zip(self.shapes, self.points, strict=True)
            ],
        }
