"""The one HTTP contract between stages: what the orchestrator asks of inference, and its answer.

`POST /v1/score` takes a `ScoreRequest` of 1 to 1,000 events and answers a `ScoreResponse` with one
`EventScores` an event, in the same order.
"""

from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

BATCH_MAX: Final = 1000


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreItem(_Message):
    """One event and the features as they stood just before it (`domain.features.vector`)."""

    event_id: str
    kind: str
    event_type: str
    occurred_at: AwareDatetime
    features: dict[str, float]
    """By feature name; a feature that isn't known is left out."""
    decline: dict[str, str] | None = None
    """A failed attempt's codes by `domain.events.Decline`'s names; `network`, `card_country`."""


class ScoreRequest(_Message):
    """A batch."""

    events: Annotated[list[ScoreItem], Field(min_length=1, max_length=BATCH_MAX)]


class Reason(_Message):
    """One of the top reasons behind a score."""

    feature: str
    contribution: float
    """In the model's own unit (log-odds for a classifier); positive raises the score."""


class Score(_Message):
    """One model's answer for one event."""

    value: float | str
    """A calibrated probability in [0, 1], or the chosen strategy's name."""
    model: str
    version: str
    reasons: list[Reason]
    detail: dict[str, float | str] | None = None
    """What else the model says, e.g. a strategy's `delay_s` and `attempts_left`, or its `rule`."""


class EventScores(_Message):
    """Every model's answer for one event; `None` where the model doesn't apply to the event."""

    event_id: str
    fraud_score: Score | None = None
    churn_score: Score | None = None
    retry_strategy: Score | None = None


class ScoreResponse(_Message):
    """The batch's answers, in the request's order."""

    scores: list[EventScores]
