"""Binary classifiers of events: training, evaluation and scoring."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.features import FEATURES
from payment_pipeline.domain.scoring import ScoreItem
from payment_pipeline.settings import Settings

from .model import Trained
from .model_card import Data, FeatureUse, Span, judge
from .scorecard import Scorecard, Shape, filled, fit
from .training_dataset import Flags, Floats, History, Indices, Split, day, split_by_time

POSITIVES_MIN: Final = 20
"""The least number of positives and negatives in each span, for results that are not chance."""


class Labels(NamedTuple):
    """The labels of some events."""

    rows: Indices
    """Rows of the history. Only rows with an outcome known before the end of the history."""
    positive: Flags
    """One label for each row."""


@dataclass(frozen=True)
class Classifier:
    """A calibrated, additive binary classifier over the features of `domain.features`."""

    name: str
    output: str
    applies_to: str
    limits: str
    label: str
    """What counts as positive, in one sentence."""
    label_window: timedelta
    """How long after an event its label is decided."""
    shapes: Sequence[Shape]
    applies: Callable[[ScoreItem], bool]
    outcomes: Callable[[History, Indices], Flags]
    """The labels of some rows of a history."""
    method: str = "Generalized additive logistic regression, Platt-calibrated on a later span."

    def train(self, history: History) -> Trained:
        """Train on the first span of time, calibrate on the next, evaluate on the last."""
        labels = self._labels(history)
        split = split_by_time(history.at_s, labels.rows, self.label_window)
        by_row = np.zeros(len(history.items), dtype=bool)
        by_row[labels.rows] = labels.positive
        values = filled(history.features, self.shapes)
        data = describe(history, split, by_row, self.name, self.label)
        estimator = fit(
            self.shapes,
            (values[split.train], by_row[split.train]),
            (values[split.calibration], by_row[split.calibration]),
        )
        card = Scorecard(self.shapes, estimator)
        predicted = card.probabilities(card.contributions(values[split.holdout]))
        metrics, bins = judge(by_row[split.holdout], predicted)
        return Trained(estimator, data, uses(card, FEATURES), metrics, bins)

    def load(self, estimator: BaseEstimator, _: Settings) -> "ClassifierScorer":
        """Compile the stored estimator."""
        return ClassifierScorer(Scorecard(self.shapes, estimator))

    def _labels(self, history: History) -> Labels:
        known_until_s = history.at_s[-1] - self.label_window.total_seconds()
        rows = np.array(
            [
                row
                for row, item in enumerate(history.items)
                if history.at_s[row] <= known_until_s and self.applies(item)
            ],
            dtype=np.intp,
        )
        return Labels(rows, self.outcomes(history, rows))


class ClassifierScorer:
    """Answers with a calibrated probability."""

    def __init__(self, card: Scorecard) -> None:
        self.card = card

    def score(self, items: Sequence[ScoreItem], features: Floats) -> list[dict[str, object]]:
        """Return a probability and its reasons for each event."""
        del items  # the features contain everything
        added = self.card.contributions(filled(features, self.card.shapes))
        probabilities = self.card.probabilities(added).round(6).tolist()
        return [
            {"value": value, "reasons": reasons}
            for value, reasons in zip(probabilities, self.card.reasons(added), strict=True)
        ]

    def content(self) -> dict[str, object]:
        """The compiled table."""
        return self.card.content()


def describe(history: History, split: Split, positive: Flags, name: str, label: str) -> Data:
    """Describe the data for the model card, after a check that there are enough labels.

    Raises:
        UserError: a span has too few positives or negatives.
    """
    spans = {}
    for span, rows in split._asdict().items():
        positives = int(positive[rows].sum())
        if min(positives, len(rows) - positives) < POSITIVES_MIN:
            raise UserError(
                f"The history has too few outcomes to train {name}: {positives} of {len(rows)} in"
                f" its {span} span. Train with more customers."
            )
        first, last = history.at_s[rows].min(), history.at_s[rows].max()
        spans[span] = Span(
            rows=len(rows), positives=positives, first_day=day(first), last_day=day(last)
        )
    return Data(source=history.source, label=label, **spans)


def uses(card: Scorecard, meanings: Mapping[str, str]) -> list[FeatureUse]:
    """Describe each feature for the model card."""
    return [
        FeatureUse(
            name=shape.feature,
            meaning=meanings[shape.feature],
            when_unknown=shape.default,
            knots=list(shape.knots),
            log_odds=points.round(4).tolist(),
        )
        for shape, points in zip(card.shapes, card.points, strict=True)
    ]
