"""The interface of a model: training, loading and scoring."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sklearn.base import BaseEstimator

from payment_pipeline.domain.scoring import ScoreItem
from payment_pipeline.settings import Settings

from .model_card import CalibrationBin, Data, FeatureUse
from .training_dataset import Floats, History


class Scorer(Protocol):
    """A trained model, ready to answer."""

    def score(self, items: Sequence[ScoreItem], features: Floats) -> list[dict[str, object]]:
        """Return one answer per item: `value`, `reasons` and, for some models, `detail`.

        Args:
            items: the events that the model applies to.
            features: their features, (items, `FEATURE_NAMES`). NaN means unknown.
        """
        ...

    def content(self) -> dict[str, object]:
        """Return everything that decides an answer. The version is the hash of this content."""
        ...


class Trained(NamedTuple):
    """The result of a training: the estimator to store, and the facts for its card."""

    estimator: BaseEstimator
    data: Data
    features: list[FeatureUse]
    metrics: dict[str, float]
    calibration: list[CalibrationBin]


class Model(Protocol):
    """The interface of `MODEL` in a module of `models/`."""

    name: str
    output: str
    """The field of its answer in `domain.scoring.EventScores`."""
    method: str
    """How it works, in one sentence, for the card."""
    applies_to: str
    """A description of `applies`, for the card."""
    limits: str
    """The known limits of the model, for the card."""

    def applies(self, item: ScoreItem) -> bool:
        """Whether the model has an answer for this event."""
        ...

    def train(self, history: History) -> Trained:
        """Train on a history. The same history gives the same model.

        Raises:
            UserError: the history has too few labels to learn from.
        """
        ...

    def load(self, estimator: BaseEstimator, settings: Settings) -> Scorer:
        """Make a stored estimator ready to answer.

        Raises:
            UserError: the configuration of the model is wrong.
        """
        ...
