"""Trains, evaluates and stores every model on a simulated history.

The features come from the same code that the bronze writer and the scoring service use. So a model
learns from the same features that it gets in production.
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
from .model import Model
from .model_card import Card
from .models import models
from .simulated_year import CUSTOMERS, simulated
from .training_dataset import History, replay

DEFAULT_SEED: Final = 20260101
LIBRARIES: Final = ("scikit-learn", "numpy", "scipy", "skops")

Progress = Callable[[str], None]
"""Called with a text before each step."""

STEPS: Final = 2 + len(models())


def models_dir(settings: Settings) -> Path:
    """Return the folder of the trained models."""
    return settings.var / "models"


def train(
    settings: Settings, progress: Progress, *, seed: int = DEFAULT_SEED, customers: int = CUSTOMERS
) -> list[Card]:
    """Train every model on a simulated year, store it, and make it the served version.

    A running service loads the new versions by itself. The same seed gives the same versions.

    Raises:
        UserError: there are too few customers to learn from, or the models' folder is not writable.
    """
    for name in models():
        model_store.refuse_unwritable(models_dir(settings), name)
    progress(f"A simulated year of {customers:,} customers")
    events = simulated(seed, customers)
    progress(f"Features of {len(events):,} events")
    history = replay(f"a simulated year: seed {seed}, {customers} customers", events)
    trained = []
    # One thread: another order of sums would give another hash.
    with threadpool_limits(limits=1):
        for model in models().values():
            progress(f"Model {model.name}")
            trained.append(_train_one(model, history, settings))
    # Save only after all models are trained: a failure must not leave a mix of versions.
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
