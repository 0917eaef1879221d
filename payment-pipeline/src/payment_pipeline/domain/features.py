"""Online features: what is known of a customer, a merchant and a card at the moment of an event.

One fold serves the bronze writer (which keeps the state in PostgreSQL, in the event's transaction),
the scorer (which reads it) and training (which replays it over history): no skew, no leakage.

Every operation on the state is commutative and associative (counts, sums, minima, maxima, capped
sorted sets), so late, shuffled and parallel input end in the same state. Duplicates are kept out by
the writer: it applies only the events that it really inserted.

A charge is an attempt: attempts are counted from `charge.succeeded` and `charge.failed` alone, so a
payment and its charge, which say the same thing, count once. Windows end at the event's own
`occurred_at`, never at the clock: a replay sees what the first run saw.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import log10
from typing import Final, NamedTuple

from .events import Charge, Customer, Payment, PaymentEvent, PaymentMethod, Subscription

RECENT_MAX: Final = 20
"""How many of the latest attempts and failures a state remembers."""
COUNTERPARTIES_MAX: Final = 50
"""How many distinct cards of a customer, or customers of a card, a state can tell apart."""
PLATFORM: Final = "platform"
"""The merchant's id where an event names no connected account."""


class Entity(StrEnum):
    """Whom a state is about."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    CARD = "card"

    # Enum's own hash is Python code, and a key is hashed several times an event.
    __hash__ = str.__hash__


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


FEATURES: Final[Mapping[str, str]] = {
    # Of the event itself.
    "amount_log10_major": "log10 of 1 + the amount in the currency's major unit",
    "risk_score": "the provider's own risk score, 0 to 100 (Stripe Radar)",
    "cvc_check_failed": "1 when the issuer says that the security code is wrong, 0 when right",
    "postal_check_failed": "1 when the issuer says that the postal code is wrong, 0 when right",
    "is_prepaid": "1 for a prepaid card, 0 for any other funding",
    "is_wallet": "1 when paid through a device wallet, 0 for a bare card",
    "three_d_secure_passed": "1 when the cardholder was authenticated, 0 when it was tried and not",
    "cancels_at_period_end": "subscription events: 1 when it is set to end with its period",
    # Of the customer.
    "customer_age_days": "days since the customer's first event",
    "customer_attempts_1h": f"attempts in the last hour, at most {RECENT_MAX}",
    "customer_failures_30d": f"failed attempts in the last 30 days, at most {RECENT_MAX}",
    "customer_failure_run": f"failed attempts since the last success, at most {RECENT_MAX}",
    "customer_decline_rate": "share of attempts that failed, drawn to 0.1 by 5 attempts",
    "customer_distinct_cards": f"distinct cards seen, at most {COUNTERPARTIES_MAX}",
    "amount_over_customer_mean": "amount over the customer's mean attempt in the same currency",
    "days_since_last_success": "days since the customer's last successful attempt",
    "days_since_last_seen": "days since the customer's previous event",
    "invoices_failed": "invoices whose payment failed, ever",
    "subscription_past_due": "1 past due or unpaid, 0 not; left out without a live subscription",
    "subscription_trialing": "1 in trial, 0 not; left out without a live subscription",
    # Of the card.
    "card_age_days": "days since the card's first event",
    "card_attempts_1h": f"attempts on the card in the last hour, at most {RECENT_MAX}",
    "card_failures_24h": f"failed attempts on it in the last 24 hours, at most {RECENT_MAX}",
    "card_failures_30d": f"failed attempts on it in the last 30 days, at most {RECENT_MAX}",
    "card_distinct_customers": f"distinct customers that used it, at most {COUNTERPARTIES_MAX}",
    # Of the merchant.
    "merchant_dispute_rate": "disputes over successful attempts, drawn to 0.005 by 100 attempts",
    "merchant_decline_rate": "share of attempts that failed, drawn to 0.1 by 50 attempts",
    "amount_over_merchant_mean": "amount over the merchant's mean attempt in the same currency",
}
"""Every feature that `vector` can give, and what it says."""


def entities(event: PaymentEvent) -> tuple[EntityKey, ...]:
    """Whose states an event touches and is scored with; sorted."""
    provider = event.provider
    merchant = EntityKey(provider, Entity.MERCHANT, event.merchant_id or PLATFORM)
    method, customer_id = _method(event), event.customer_id
    if method is not None and method.card_hash is not None:
        card = EntityKey(provider, Entity.CARD, method.card_hash)
        if customer_id is None:
            return card, merchant
        return card, EntityKey(provider, Entity.CUSTOMER, customer_id), merchant
    if customer_id is None:
        return (merchant,)
    return EntityKey(provider, Entity.CUSTOMER, customer_id), merchant


def apply(state: EntityState, key: EntityKey, event: PaymentEvent) -> None:
    """Fold one event into one of its entities' states, in place."""
    at = event.occurred_at
    state.events += 1
    if state.first_seen_at is None or at < state.first_seen_at:
        state.first_seen_at = at
    if state.last_seen_at is None or at > state.last_seen_at:
        state.last_seen_at = at
    match event.event_type:
        case "charge.succeeded" | "charge.failed":
            _apply_attempt(state, event)
        case "refund.created":
            state.refunds += 1
        case "dispute.created":
            state.disputes += 1
        case "fraud_warning.created":
            state.fraud_warnings += 1
        case "invoice.payment_failed":
            state.invoices_failed += 1
    if key.entity is Entity.MERCHANT:
        return
    _apply_counterparty(state, key, event)
    if key.entity is Entity.CUSTOMER and isinstance(event, Subscription) and event.status:
        _apply_subscription(state, at, event.status)


def fold(
    events: Iterable[PaymentEvent], states: dict[EntityKey, EntityState]
) -> Iterable[tuple[PaymentEvent, dict[str, float]]]:
    """Walk events in order: yield each with its features as of just before it, and apply it.

    `states` is both the start and, changed in place, the end; an event that was yielded is in it.
    """
    for event in events:
        keys = entities(event)
        features = vector(event, keys, states)
        for key in keys:
            state = states.get(key)
            if state is None:
                state = states[key] = EntityState()
            apply(state, key, event)
        yield event, features


# The state's parts, each commutative and associative.


def _apply_attempt(state: EntityState, event: PaymentEvent) -> None:
    at = event.occurred_at
    state.attempts += 1
    _remember(state.recent_attempts_at, at)
    if event.event_type == "charge.succeeded":
        state.successes += 1
        if state.last_success_at is None or at > state.last_success_at:
            state.last_success_at = at
    else:
        state.failures += 1
        _remember(state.recent_failures_at, at)
    if event.amount_minor is not None and event.currency is not None:
        totals = state.amounts.get(event.currency)
        if totals is None:
            totals = state.amounts[event.currency] = AmountTotals()
        totals.count += 1
        totals.sum_minor += event.amount_minor
        totals.max_minor = max(totals.max_minor, event.amount_minor)


def _remember(latest: list[datetime], at: datetime) -> None:
    """Keep the `RECENT_MAX` latest, sorted: the same whatever order they come in."""
    insort(latest, at)
    if len(latest) > RECENT_MAX:
        del latest[0]


def _apply_counterparty(state: EntityState, key: EntityKey, event: PaymentEvent) -> None:
    """Keep the smallest distinct ids, sorted: a cap by arrival would depend on the order."""
    if key.entity is Entity.CUSTOMER:
        method = _method(event)
        other = method.card_hash if method is not None else None
    else:
        other = event.customer_id
    if other is None or other in state.counterparties:
        return
    insort(state.counterparties, other)
    if len(state.counterparties) > COUNTERPARTIES_MAX:
        del state.counterparties[-1]


def _apply_subscription(state: EntityState, at: datetime, status: str) -> None:
    known_at, known = state.subscription_status_at, state.subscription_status
    if known_at is None or known is None or (at, status) > (known_at, known):
        state.subscription_status, state.subscription_status_at = status, at


# The vector's parts.

_NEVER_SEEN: Final = EntityState()
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_MONTH: Final = timedelta(days=30)
_DAY_S: Final = 86_400.0
_MAJOR: Final = (1, 10, 100, 1_000, 10_000)
_CHECKS: Final = {"fail": 1.0, "pass": 0.0}
_LIVE_SUBSCRIPTION: Final = frozenset({"active", "trialing", "past_due", "unpaid", "paused"})


def vector(
    event: PaymentEvent, keys: Iterable[EntityKey], states: Mapping[EntityKey, EntityState]
) -> dict[str, float]:
    """The features of an event, from the states of its entities just before it.

    A feature that isn't known is left out. An entity without a state was never seen: its counts are
    known, and zero.

    Args:
        event: the event to score.
        keys: `entities(event)`, which the caller needs too.
        states: the states by entity; others than those of `keys` are ignored.
    """
    at = event.occurred_at
    features = _of_event(event)
    for key in keys:
        state = states.get(key, _NEVER_SEEN)
        if key.entity is Entity.CUSTOMER:
            _of_customer(features, state, event, at)
        elif key.entity is Entity.CARD:
            _of_card(features, state, at)
        else:
            _of_merchant(features, state, event)
    return features


def _method(event: PaymentEvent) -> PaymentMethod | None:
    return event.payment_method if isinstance(event, Charge | Payment | Customer) else None


def _of_event(event: PaymentEvent) -> dict[str, float]:
    features: dict[str, float] = {}
    if event.amount_minor is not None and event.currency_exponent is not None:
        major = abs(event.amount_minor) / _MAJOR[event.currency_exponent]
        features["amount_log10_major"] = log10(1.0 + major)
    if isinstance(event, Charge | Payment) and event.risk and event.risk.score is not None:
        features["risk_score"] = float(event.risk.score)
    if isinstance(event, Subscription) and event.cancel_at_period_end is not None:
        features["cancels_at_period_end"] = float(event.cancel_at_period_end)
    method = _method(event)
    if method is None:
        return features
    if method.cvc_check in _CHECKS:
        features["cvc_check_failed"] = _CHECKS[method.cvc_check]
    if method.postal_code_check in _CHECKS:
        features["postal_check_failed"] = _CHECKS[method.postal_code_check]
    if method.funding is not None:
        features["is_prepaid"] = float(method.funding == "prepaid")
    if method.type == "card":
        features["is_wallet"] = float(method.wallet is not None)
    if method.three_d_secure is not None:
        features["three_d_secure_passed"] = float(method.three_d_secure == "authenticated")
    return features


def _of_customer(
    features: dict[str, float], state: EntityState, event: PaymentEvent, at: datetime
) -> None:
    features["customer_age_days"] = _days(state.first_seen_at, at) or 0.0
    attempts, failures = state.recent_attempts_at, state.recent_failures_at
    features["customer_attempts_1h"] = _within(attempts, at - _HOUR, at)
    features["customer_failures_30d"] = _within(failures, at - _MONTH, at)
    features["customer_failure_run"] = _within(failures, state.last_success_at, at)
    features["customer_decline_rate"] = (state.failures + 0.5) / (state.attempts + 5.0)
    features["customer_distinct_cards"] = float(len(state.counterparties))
    features["invoices_failed"] = float(state.invoices_failed)
    ratio = _over_mean(state, event)
    if ratio is not None:
        features["amount_over_customer_mean"] = ratio
    success_days = _days(state.last_success_at, at)
    if success_days is not None:
        features["days_since_last_success"] = success_days
    seen_days = _days(state.last_seen_at, at)
    if seen_days is not None:
        features["days_since_last_seen"] = seen_days
    # A subscription's own event knows its status already; the state has the one before.
    status = event.status if isinstance(event, Subscription) else state.subscription_status
    if status in _LIVE_SUBSCRIPTION:
        features["subscription_past_due"] = float(status in ("past_due", "unpaid"))
        features["subscription_trialing"] = float(status == "trialing")


def _of_card(features: dict[str, float], state: EntityState, at: datetime) -> None:
    features["card_age_days"] = _days(state.first_seen_at, at) or 0.0
    features["card_attempts_1h"] = _within(state.recent_attempts_at, at - _HOUR, at)
    features["card_failures_24h"] = _within(state.recent_failures_at, at - _DAY, at)
    features["card_failures_30d"] = _within(state.recent_failures_at, at - _MONTH, at)
    features["card_distinct_customers"] = float(len(state.counterparties))


def _of_merchant(features: dict[str, float], state: EntityState, event: PaymentEvent) -> None:
    features["merchant_dispute_rate"] = (state.disputes + 0.5) / (state.successes + 100.0)
    features["merchant_decline_rate"] = (state.failures + 5.0) / (state.attempts + 50.0)
    ratio = _over_mean(state, event)
    if ratio is not None:
        features["amount_over_merchant_mean"] = ratio


def _within(times: list[datetime], since: datetime | None, until: datetime) -> float:
    """How many of the sorted times are after `since`, up to `until`.

    An event that comes late is not judged by what happened after it.
    """
    if not times:
        return 0.0
    before = 0 if since is None else bisect_right(times, since)
    return float(max(0, bisect_right(times, until) - before))


def _days(since: datetime | None, until: datetime) -> float | None:
    return None if since is None else max(0.0, (until - since).total_seconds() / _DAY_S)


def _over_mean(state: EntityState, event: PaymentEvent) -> float | None:
    if event.amount_minor is None or event.currency is None:
        return None
    totals = state.amounts.get(event.currency)
    if totals is None or totals.sum_minor <= 0:
        return None
    return abs(event.amount_minor) * totals.count / totals.sum_minor
