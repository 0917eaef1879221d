"""Events to write: what the writer's tests and its benchmark feed it."""

from functools import cache

from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import EntityKey, EntityState, fold
from payment_pipeline.domain.scoring import EventScores, Reason, Score
from payment_pipeline.inference.history import simulated

_REASONS = [Reason(feature=f"customer_failures_{days}d", contribution=0.1) for days in (1, 7, 30)]


@cache
def events(count: int) -> tuple[PaymentEvent, ...]:
    """That many of a market's events of one year, all different."""
    return tuple(simulated(seed=7, customers=max(20, count // 25))[:count])


def scored(event: PaymentEvent) -> ScoredEvent:
    """The event with two scores."""
    fraud = Score(value=0.125, model="fraud", version="1", reasons=_REASONS)
    churn = Score(value=0.5, model="churn", version="1", reasons=_REASONS)
    scores = EventScores(event_id=event.event_id, fraud_score=fraud, churn_score=churn)
    return ScoredEvent(event, scores, InferenceStatus.SCORED)


def unscored(event: PaymentEvent) -> ScoredEvent:
    """The event as it is written while inference is down."""
    return ScoredEvent(event, None, InferenceStatus.UNAVAILABLE)


def folded(given: list[PaymentEvent]) -> dict[EntityKey, EntityState]:
    """The states that a sequential fold of the events leaves."""
    states: dict[EntityKey, EntityState] = {}
    for _ in fold(given, states):
        pass
    return states
