"""The interface of a model: what training gives, and what a model module has to offer."""

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
        """One answer an item: `value`, `reasons` and, where there is more to say, `detail`.

        Args:
            items: those that the model applies to.
            features: theirs, (items, `dataset.FEATURE_NAMES`); NaN is unknown.
        """
        ...

    def content(self) -> dict[str, object]:
        """All that decides an answer: what the model's version is the hash of."""
        ...


class Trained(NamedTuple):
    """What training gives: the estimator to store, and what its card says."""

    estimator: BaseEstimator
    data: Data
    features: list[FeatureUse]
    metrics: dict[str, float]
    calibration: list[CalibrationBin]


class Model(Protocol):
    """What a model module's `MODEL` must offer."""

    name: str
    output: str
    """What its answer is called in `domain.scoring.EventScores`."""
    method: str
    """How it works, in one sentence, for the card."""
    applies_to: str
    """`applies` in words, for the card."""
    limits: str
    """Where it may be wrong, for the card."""

    def applies(self, item: ScoreItem) -> bool:
        """Whether the model has an answer for this event."""
        ...

    def train(self, history: History) -> Trained:
        """Learn from a history; the same history gives the same model.

        Raises:
            UserError: the history has too few labels to learn from.
        """
        ...

    def load(self, estimator: BaseEstimator, settings: Settings) -> Scorer:
        """Make a stored estimator ready to answer.

        Raises:
            UserError: a configuration that the model needs is wrong.
        """
        ...
