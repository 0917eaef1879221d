"""Scores batches of events with every loaded model.

A loaded `Engine` never changes. New versions are loaded into a new engine, which replaces the old
one. So one set of versions scores a whole batch.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import orjson

from payment_pipeline.domain.scoring import ScoreItem
from payment_pipeline.settings import Settings

from . import model_store
from .model import Model, Scorer
from .model_card import Card
from .models import models
from .training import models_dir
from .training_dataset import matrix


class Loaded(NamedTuple):
    """One model, ready to answer."""

    model: Model
    version: str
    scorer: Scorer
    card: Card


class Batch(NamedTuple):
    """The answer to a batch, and its counts for the metrics."""

    body: bytes
    """A `ScoreResponse` as JSON."""
    events: int
    scored: Mapping[str, int]
    """How many events each model applied to."""
    unknown_features: int
    """How many feature values had an unknown name and were left out."""


class Engine:
    """Every model of the folder, loaded."""

    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self.loaded = tuple(loaded)

    @property
    def versions(self) -> dict[str, str]:
        """The version of each model."""
        return {one.model.name: one.version for one in self.loaded}

    @property
    def cards(self) -> list[Card]:
        """The card of each model."""
        return [one.card for one in self.loaded]

    def score(self, items: Sequence[ScoreItem]) -> Batch:
        """Score 1 to `BATCH_MAX` events. Each event gets one answer, in the order of the events."""
        features, unknown_features = matrix(items)
        nothing = dict.fromkeys(one.model.output for one in self.loaded)
        answers: list[dict[str, object]] = [
            {"event_id": item.event_id, **nothing} for item in items
        ]
        scored = {}
        for one in self.loaded:
            rows = [row for row, item in enumerate(items) if one.model.applies(item)]
            scored[one.model.name] = len(rows)
            if not rows:
                continue
            named = {"model": one.model.name, "version": one.version}
            scores = one.scorer.score([items[row] for row in rows], features[np.array(rows)])
            for row, score in zip(rows, scores, strict=True):
                answers[row][one.model.output] = named | score
        return Batch(orjson.dumps({"scores": answers}), len(items), scored, unknown_features)


def load(settings: Settings) -> Engine:
    """Load the current version of every model.

    Raises:
        UserError: a model was never trained or can't be trusted, or the retry rules are wrong.
    """
    root = models_dir(settings)
    loaded = []
    for name, model in models().items():
        stored = model_store.load(root, name, model_store.current(root, name))
        scorer = model.load(stored.estimator, settings)
        loaded.append(Loaded(model, stored.version, scorer, stored.card))
    return Engine(loaded)


def current_versions(settings: Settings) -> dict[str, str]:
    """Read the version to serve of each model from the store.

    Raises:
        UserError: a model was never trained.
    """
    root = models_dir(settings)
    return {name: model_store.current(root, name) for name in models()}
