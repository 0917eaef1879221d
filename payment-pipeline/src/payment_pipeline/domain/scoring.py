"""The one HTTP contract between stages: what the orchestrator asks of inference, and its answer.

`POST /v1/score` takes a `ScoreRequest` of 1 to 1,000 events and answers a `ScoreResponse` with one
`EventScores` an event, in the same order. Every event may be asked about: which models apply to it
is the models' to say, and an event that none applies to comes back without a score.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from .events import Charge, Invoice, Payment, PaymentEvent

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
    """Of a failed attempt only: what `decline_inputs` gives."""


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
    """Every model's answer for one event; `None` where the model doesn't apply to the event.

    Named here are the answers that have a column of their own or start a review or a recovery. Any
    other model's answer comes under its `output` all the same, and lands in bronze's `scores`.
    """

    model_config = ConfigDict(extra="allow")

    event_id: str
    fraud_score: Score | None = None
    churn_score: Score | None = None
    retry_strategy: Score | None = None
    __pydantic_extra__: dict[str, Score | None] = Field(init=False)

    @property
    def scored(self) -> bool:
        """Whether any model had an answer."""
        named = self.fraud_score or self.churn_score or self.retry_strategy
        return bool(named) or any(self.__pydantic_extra__.values())


class ScoreResponse(_Message):
    """The batch's answers, in the request's order."""

    scores: list[EventScores]


def score_item(event: PaymentEvent, features: Mapping[str, float]) -> ScoreItem:
    """What to ask inference about an event, given `domain.features.vector`'s answer for it."""
    return ScoreItem(
        event_id=event.event_id,
        kind=event.kind,
        event_type=event.event_type,
        occurred_at=event.occurred_at,
        features=dict(features),
        decline=decline_inputs(event),
    )


def decline_inputs(event: PaymentEvent) -> dict[str, str] | None:
    """What the networks' retry rules ask about a failed attempt; `None` if none failed.

    Keys, each left out when unknown: `Decline`'s field names; `network`, `card_country` and
    `funding` of the card; `attempt_count` of an invoice.
    """
    if isinstance(event, Invoice):
        if event.event_type != "invoice.payment_failed":
            return None
        count = event.attempt_count
        known = {"attempt_count": str(count) if count is not None else None}
    elif isinstance(event, Charge | Payment):
        if event.event_type not in ("charge.failed", "payment.failed"):
            return None
        known = dict(event.decline) if event.decline is not None else {}
        if (card := event.payment_method) is not None:
            known["network"] = card.network or card.brand
            known["card_country"] = card.country
            known["funding"] = card.funding
    else:
        return None
    return {name: value for name, value in known.items() if value is not None}
