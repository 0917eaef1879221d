"""Events for the tests and the benchmark of the bronze writer."""

import struct
from functools import cache
from hashlib import sha256

from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import EntityKey, EntityState, fold
from payment_pipeline.domain.scoring import EventScores, Reason, Score
from payment_pipeline.inference.simulated_year import simulated

_FEATURES = tuple(f"customer_failures_{days}d" for days in (1, 7, 30))


@cache
def events(count: int) -> tuple[PaymentEvent, ...]:
    """Return distinct events from one simulated year."""
    return tuple(simulated(seed=7, customers=max(20, count // 25))[:count])


def scored(event: PaymentEvent) -> ScoredEvent:
    """Add two scores that depend only on the event id."""
    shares = struct.unpack(">8I", sha256(event.event_id.encode()).digest())
    fraud, churn, *contributions = (share / 2**32 for share in shares)
    scores = EventScores(
        event_id=event.event_id,
        fraud_score=_score("fraud", fraud, contributions[:3]),
        churn_score=_score("churn", churn, contributions[3:]),
    )
    return ScoredEvent(event, scores, InferenceStatus.SCORED)


def unscored(event: PaymentEvent) -> ScoredEvent:
    """Return the event as the worker writes it while inference is down."""
    return ScoredEvent(event, None, InferenceStatus.UNAVAILABLE)


def folded(given: list[PaymentEvent]) -> dict[EntityKey, EntityState]:
    """Fold the events one after another, and return the final states."""
    states: dict[EntityKey, EntityState] = {}
    for _ in fold(given, states):
        pass
    return states


def _score(model: str, value: float, contributions: list[float]) -> Score:
    reasons = [
        Reason(feature=feature, contribution=contribution)
        for feature, contribution in zip(_FEATURES, contributions, strict=True)
    ]
    return Score(value=value, model=model, version="1", reasons=reasons)
