"""Online features: what is known of a customer, a merchant and a card at the moment of an event.

One fold serves the bronze writer (which keeps the state in PostgreSQL, in the event's transaction),
the scorer (which reads it) and training (which replays it over history): no skew, no leakage.

Every operation on the state is commutative and associative (counts, sums, minima, maxima, capped
sorted sets), so late, shuffled and parallel input end in the same state. Duplicates are kept out by
the writer: it applies only the events that it really inserted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from .events import PaymentEvent

RECENT_MAX: Final = 20
"""How many of the latest attempts and failures a state remembers."""
COUNTERPARTIES_MAX: Final = 50
"""How many distinct cards of a customer, or customers of a card, a state can tell apart."""


class Entity(StrEnum):
    """Whom a state is about."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    CARD = "card"


class EntityKey(NamedTuple):
    """Names one state; tuples sort, and rows are locked in that order."""

    provider: str
    entity: Entity
    entity_id: str


@dataclass(slots=True)
class AmountTotals:
    """Amounts of attempts in one currency, in minor units. Never summed across currencies."""

    count: int = 0
    sum_minor: int = 0
    max_minor: int = 0


@dataclass(slots=True)
class EntityState:
    """What is remembered of one entity. A row of `entity_features`, column for field."""

    events: int = 0
    attempts: int = 0
    successes: int = 0
    failures: int = 0
    refunds: int = 0
    disputes: int = 0
    fraud_warnings: int = 0
    invoices_failed: int = 0
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    last_success_at: datetime | None = None
    recent_attempts_at: list[datetime] = field(default_factory=list)
    """The latest `RECENT_MAX`, oldest first."""
    recent_failures_at: list[datetime] = field(default_factory=list)
    """The latest `RECENT_MAX`, oldest first; those after `last_success_at` are the failure run."""
    counterparties: list[str] = field(default_factory=list)
    """Distinct cards of a customer, customers of a card; the `COUNTERPARTIES_MAX` smallest."""
    amounts: dict[str, AmountTotals] = field(default_factory=dict)
    """By currency code."""
    subscription_status: str | None = None
    subscription_status_at: datetime | None = None
    """Latest wins; between equals the greater status, so that order doesn't matter."""


def entities(event: PaymentEvent) -> tuple[EntityKey, ...]:
    """Whose states an event touches and is scored with; sorted."""
    raise NotImplementedError


def apply(state: EntityState, key: EntityKey, event: PaymentEvent) -> None:
    """Fold one event into one of its entities' states, in place."""
    raise NotImplementedError


def vector(event: PaymentEvent, states: Mapping[EntityKey, EntityState]) -> dict[str, float]:
    """The features of an event from the states just before it; unknown ones are left out."""
    raise NotImplementedError


def fold(
    events: Iterable[PaymentEvent], states: dict[EntityKey, EntityState]
) -> Iterable[tuple[PaymentEvent, dict[str, float]]]:
    """Walk events in order: yield each with its features as of just before it, then apply it.

    `states` is both the start and, changed in place, the end.
    """
    raise NotImplementedError
