"""Measures the CPU time of inference for a batch of 1,000 events, from JSON to scores as JSON.

It also measures the compiled scorecards with reasons against scikit-learn's `predict_proba` without
reasons, and the online features of one event. It trains the models in a temporary folder and needs
no component: `make bench ARGS=inference`.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Final

from bench.figure import Figure
from payment_pipeline.domain.features import EntityKey, EntityState, fold
from payment_pipeline.domain.scoring import ScoreRequest
from payment_pipeline.inference import model_store, scoring_engine
from payment_pipeline.inference.models.churn import MODEL as CHURN
from payment_pipeline.inference.models.fraud import MODEL as FRAUD
from payment_pipeline.inference.scorecard import Scorecard, filled
from payment_pipeline.inference.simulated_year import simulated
from payment_pipeline.inference.training import models_dir, train
from payment_pipeline.inference.training_dataset import Floats, replay
from payment_pipeline.settings import Settings

CUSTOMERS: Final = 600
EVENTS: Final = 1000
RUNS: Final = 25
BATCH_MS_MAX: Final = 60.0
FEATURES_US_MAX: Final = 15.0
COMPILED_RATIO_MAX: Final = 1.0


def inference_figures() -> list[Figure]:
    """Measure on one simulated year of few customers, in about 30 seconds."""
    with tempfile.TemporaryDirectory() as var:
        settings = Settings(var=Path(var))
        train(settings, lambda _: None, seed=1, customers=CUSTOMERS)
        events = simulated(1, CUSTOMERS)
        history = replay("bench", events)
        # Events from the end of the year, when the entity states are full.
        asked = list(history.items[-EVENTS:])
        body = ScoreRequest(events=asked).model_dump_json().encode()
        loaded = scoring_engine.load(settings)
        batch_ms = _median_ms(lambda: loaded.score(ScoreRequest.model_validate_json(body).events))
        fitted, compiled = _both_ways(settings, history.features[-EVENTS:])
        fitted_ms, compiled_ms = _median_ms(fitted), _median_ms(compiled)

    def fold_all() -> None:
        states: dict[EntityKey, EntityState] = {}
        for _ in fold(events, states):
            pass

    features_us = _median_ms(fold_all, runs=3) * 1000 / len(events)
    return [
        Figure(
            name="inference, CPU a batch of 1,000 events",
            value=round(batch_ms, 1),
            unit="ms",
            reference="the limit",
            reference_value=BATCH_MS_MAX,
            ratio=round(batch_ms / BATCH_MS_MAX, 2),
            target=BATCH_MS_MAX,
            met=batch_ms <= BATCH_MS_MAX,
        ),
        Figure(
            name="fraud and churn of 1,000 events with reasons, compiled",
            value=round(compiled_ms, 2),
            unit="ms",
            reference="predict_proba of the fitted estimators, without reasons",
            reference_value=round(fitted_ms, 2),
            ratio=round(compiled_ms / fitted_ms, 2),
            target=COMPILED_RATIO_MAX,
            met=compiled_ms <= fitted_ms * COMPILED_RATIO_MAX,
        ),
        Figure(
            name="online features, CPU an event",
            value=round(features_us, 1),
            unit="us",
            reference="the limit",
            reference_value=FEATURES_US_MAX,
            ratio=round(features_us / FEATURES_US_MAX, 2),
            target=FEATURES_US_MAX,
            met=features_us <= FEATURES_US_MAX,
        ),
    ]


def _both_ways(
    settings: Settings, features: Floats
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return functions that run both classifiers on the same values: fitted and compiled."""
    root = models_dir(settings)
    pairs = []
    for model in (FRAUD, CHURN):
        estimator = model_store.load(
            root, model.name, model_store.current(root, model.name)
        ).estimator
        pairs.append(
            (estimator, Scorecard(model.shapes, estimator), filled(features, model.shapes))
        )

    def fitted() -> None:
        for estimator, _, values in pairs:
            estimator.predict_proba(values)

    def compiled() -> None:
        for _, card, values in pairs:
            added = card.contributions(values)
            card.probabilities(added)
            card.reasons(added)

    return fitted, compiled


def _median_ms(work: Callable[[], object], runs: int = RUNS) -> float:
    work()
    taken = []
    for _ in range(runs):
        before = process_time()
        work()
        taken.append(process_time() - before)
    return median(taken) * 1000
