"""The HTTP contract between the orchestrator and inference.

`POST /v1/score` takes a `ScoreRequest` with 1 to 1,000 events. It answers a `ScoreResponse` with
one `EventScores` for each event, in the same order. The request may contain any event. The models
decide which of them apply to it. An event to which no model applies comes back without a score.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Strict

from .events import Charge, Invoice, Payment, PaymentEvent

BATCH_MAX: Final = 1000


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreItem(_Message):
    """One event and its features just before it (`domain.features.vector`)."""

    event_id: str
    kind: str
    event_type: str
    occurred_at: AwareDatetime
    features: dict[str, Annotated[float, Strict()]]
    """Features by name, without the unknown ones."""
    decline: dict[str, str] | None = None
    """Only for a failed attempt: the result of `decline_inputs`."""


class ScoreRequest(_Message):
    """The request: a batch of events."""

    events: Annotated[list[ScoreItem], Field(min_length=1, max_length=BATCH_MAX)]


class Reason(_Message):
    """One of the top reasons behind a score."""

    feature: str
    contribution: float
    """In the model's unit (log-odds for a classifier). A positive value raises the score."""


class Score(_Message):
    """One model's answer for one event."""

    value: float | str
    """A calibrated probability in [0, 1], or the name of the chosen strategy."""
    model: str
    version: str
    reasons: list[Reason]
    detail: dict[str, float | str] | None = None
    """More of the model's answer, e.g. a strategy's `delay_s`, `attempts_left` or `rule`."""


class EventScores(_Message):
    """Every model's answer for one event; `None` if the model doesn't apply to the event.

    The fields here have a column in bronze, or start a review or a recovery. Another model's answer
    comes as an extra field with the name of its `output`, and is stored in bronze's `scores`.
    """

    model_config = ConfigDict(extra="allow")

    event_id: str
    fraud_score: Score | None = None
    churn_score: Score | None = None
    retry_strategy: Score | None = None
    __pydantic_extra__: dict[str, Score | None] = Field(init=False)

    @property
    def scored(self) -> bool:
        """True if any model gave an answer."""
        named = self.fraud_score or self.churn_score or self.retry_strategy
        return bool(named) or any(self.__pydantic_extra__.values())


class ScoreResponse(_Message):
    """The answers in the order of the request."""

    scores: list[EventScores]


def score_item(event: PaymentEvent, features: Mapping[str, float]) -> ScoreItem:
    """The request item of an event, with its features from `domain.features.vector`."""
    return ScoreItem(
        event_id=event.event_id,
        kind=event.kind,
        event_type=event.event_type,
        occurred_at=event.occurred_at,
        features=dict(features),
        decline=decline_inputs(event),
    )


def decline_inputs(event: PaymentEvent) -> dict[str, str] | None:
    """The inputs of the networks' retry rules; `None` for an event that is no failed attempt.

    The keys are `provider`, `decline_reason` and the other field names of `Decline`, `network`,
    `card_country` and `funding` of the card, and `attempt_count` of an invoice. Unknown values are
    left out.
    """
    known: dict[str, str | None] = {"provider": event.provider}
    if isinstance(event, Invoice):
        if event.event_type != "invoice.payment_failed":
            return None
        count = event.attempt_count
        known["attempt_count"] = str(count) if count is not None else None
    elif isinstance(event, Charge | Payment):
        if event.event_type not in ("charge.failed", "payment.failed"):
            return None
        if event.decline is not None:
            known |= dict(event.decline)
            known["decline_reason"] = known.pop("reason")
        if (card := event.payment_method) is not None:
            known["network"] = card.network or card.brand
            known["card_country"] = card.country
            known["funding"] = card.funding
    else:
        return None
    return {name: value for name, value in known.items() if value is not None}
