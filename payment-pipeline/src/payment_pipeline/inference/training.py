"""How do the models come to be: a history replayed, every model trained, judged and stored?

The history is replayed with the very code that the bronze writer and the scorer use, so a model
learns from the features that it will be asked with.
"""

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version as version_of_package
from pathlib import Path
from typing import Final

from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from payment_pipeline.settings import Settings

from . import model_store
from .history import CUSTOMERS, simulated
from .model import Model
from .model_card import Card
from .models import models
from .training_dataset import History, replay

DEFAULT_SEED: Final = 20260101
LIBRARIES: Final = ("scikit-learn", "numpy", "scipy", "skops")

Progress = Callable[[str], None]
"""Told what is done next."""

STEPS: Final = 2 + len(models())


def models_dir(settings: Settings) -> Path:
    """Where trained models lie."""
    return settings.var / "models"


def train(
    settings: Settings, progress: Progress, *, seed: int = DEFAULT_SEED, customers: int = CUSTOMERS
) -> list[Card]:
    """Train every model on a simulated year, store it and make it the one that is served.

    A running service takes the new versions up by itself. The same seed gives the same versions.

    Raises:
        UserError: too few customers to learn from, or the models' folder can't be written.
    """
    for name in models():
        model_store.refuse_unwritable(models_dir(settings), name)
    progress(f"A simulated year of {customers:,} customers")
    events = simulated(seed, customers)
    progress(f"Features of {len(events):,} events")
    history = replay(f"a simulated year: seed {seed}, {customers} customers", events)
    trained = []
    # One thread: sums in another order would end in another hash.
    with threadpool_limits(limits=1):
        for model in models().values():
            progress(f"Model {model.name}")
            trained.append(_train_one(model, history, settings))
    # Only now: a history that one model can't learn from must not leave a mixture.
    for estimator, card in trained:
        model_store.save(models_dir(settings), estimator, card)
    return [card for _, card in trained]


def _train_one(model: Model, history: History, settings: Settings) -> tuple[BaseEstimator, Card]:
    trained = model.train(history)
    content = model.load(trained.estimator, settings).content()
    card = Card(
        model=model.name,
        version=model_store.version_of(content),
        output=model.output,
        trained_at=datetime.now(UTC),
        method=model.method,
        applies_to=model.applies_to,
        data=trained.data,
        features=trained.features,
        metrics=trained.metrics,
        calibration=trained.calibration,
        limits=model.limits,
        libraries={"python": platform.python_version()}
        | {name: version_of_package(name) for name in LIBRARIES},
    )
    return trained.estimator, card
