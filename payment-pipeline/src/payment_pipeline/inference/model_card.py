"""Model cards: the data, features, metrics and limits of a trained model."""

from typing import Final

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from .training_dataset import Flags, Floats

CALIBRATION_BINS: Final = 10


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Part):
    """One of the three spans of time that the data is split into."""

    rows: int
    positives: int
    first_day: str
    last_day: str


class Data(_Part):
    """The training data."""

    source: str
    label: str
    """What counts as positive, in one sentence."""
    train: Span
    calibration: Span
    holdout: Span


class FeatureUse(_Part):
    """One feature, and its effect on the log-odds."""

    name: str
    meaning: str
    when_unknown: float
    """The value that replaces an unknown value."""
    knots: list[float]
    log_odds: list[float]
    """The log-odds at each knot, relative to the average event."""


class CalibrationBin(_Part):
    """A tenth of the holdout, by predicted probability."""

    predicted: float
    observed: float
    rows: int


class Card(_Part):
    """A model card."""

    model: str
    version: str
    output: str
    """The field of the answer that the model fills."""
    trained_at: AwareDatetime
    method: str
    applies_to: str
    data: Data
    features: list[FeatureUse]
    metrics: dict[str, float]
    """On the holdout."""
    calibration: list[CalibrationBin]
    """On the holdout."""
    limits: str
    """The known limits of the model."""
    libraries: dict[str, str]


def judge(labels: Flags, predicted: Floats) -> tuple[dict[str, float], list[CalibrationBin]]:
    """Compute the metrics and the calibration table of a holdout.

    `brier_base_rate` is the Brier score of always predicting the mean. Lower is better.
    """
    base_rate = float(labels.mean())
    bins = _calibration(labels, predicted)
    gaps = [abs(one.predicted - one.observed) * one.rows for one in bins]
    metrics = {
        "roc_auc": float(roc_auc_score(labels, predicted)),
        "average_precision": float(average_precision_score(labels, predicted)),
        "brier": float(brier_score_loss(labels, predicted)),
        "brier_base_rate": base_rate * (1 - base_rate),
        "log_loss": float(log_loss(labels, predicted)),
        "base_rate": base_rate,
        "calibration_error": sum(gaps) / len(labels),
    }
    return {name: round(value, 5) for name, value in metrics.items()}, bins


def _calibration(labels: Flags, predicted: Floats) -> list[CalibrationBin]:
    order = np.argsort(predicted, kind="stable")
    return [
        CalibrationBin(
            predicted=round(float(predicted[part].mean()), 5),
            observed=round(float(labels[part].mean()), 5),
            rows=len(part),
        )
        for part in np.array_split(order, CALIBRATION_BINS)
        if len(part)
    ]
