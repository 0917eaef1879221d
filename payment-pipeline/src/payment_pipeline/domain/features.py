"""Online features: the history of a customer, a merchant and a card just before an event.

The bronze writer, the scorer and training use the same fold. The writer stores the states in
PostgreSQL in the event's transaction, the scorer reads them, and training folds them over history.
So serving and training see the same features, and no feature knows the future.

Each operation on a state is commutative and associative: counts, sums, minima, maxima, and sorted
sets with a maximum size. Late-arriving, shuffled and parallel input therefore give the same state.
The writer keeps duplicates out: it folds only the events that it inserted.

An attempt is a `charge.succeeded` or a `charge.failed`. A payment and its charge report the same
attempt, so payments are not counted. A time window ends at the event's `occurred_at`, never at the
current time: a replay then computes the same features as the first run.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import log10
from typing import Final, NamedTuple

from .event_parts import PaymentMethod
from .events import Charge, Customer, Payment, PaymentEvent, Subscription

RECENT_MAX: Final = 20
"""The number of latest attempts and of latest failures that a state keeps."""
COUNTERPARTIES_MAX: Final = 50
"""The number of distinct cards of a customer, or customers of a card, that a state keeps."""
APPROVED: Final = frozenset({"authorized", "succeeded"})
"""The statuses of an attempt that the issuer approved. An unknown status is no success."""
PLATFORM: Final = "platform"
"""The merchant id of an event that names no connected account."""


class Entity(StrEnum):
    """The entities that have a state."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    CARD = "card"

    # The hash of Enum is Python code, and a key is hashed several times for each event.
    __hash__ = str.__hash__


class EntityKey(NamedTuple):
    """The key of one state. Keys sort as tuples, and rows are locked in that order."""

    provider: str
    entity: Entity
    entity_id: str
    """`<scope>/<customer id>` for a customer, `<scope>` for a merchant, the hash of a card."""


@dataclass(slots=True)
class AmountTotals:
    """Totals of the attempts in one currency, in minor units."""

    count: int = 0
    sum_minor: int = 0
    max_minor: int = 0


@dataclass(slots=True)
class EntityState:
    """The history of one entity. Its fields are the columns of `entity_features`."""

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
    """The latest `RECENT_MAX`, oldest first. Those after `last_success_at` are the failure run."""
    counterparties: list[str] = field(default_factory=list)
    """Distinct cards of a customer, or customers of a card: the `COUNTERPARTIES_MAX` smallest."""
    amounts: dict[str, AmountTotals] = field(default_factory=dict)
    """By currency code."""
    subscription_status: str | None = None
    subscription_status_at: datetime | None = None
    """The latest event decides; of two at the same time, the status that sorts last."""


FEATURES: Final[Mapping[str, str]] = {
    # Of the event itself.
    "amount_log10_major": "log10 of 1 + the amount in the currency's major unit",
    "risk_score": "the provider's risk score, 0 to 100 (Stripe Radar)",
    "cvc_check_failed": "1 if the issuer found the security code wrong, 0 if right",
    "postal_check_failed": "1 if the issuer found the postal code wrong, 0 if right",
    "is_prepaid": "1 for a prepaid card, 0 for any other funding",
    "is_wallet": "1 for a card in a device wallet, 0 for a card alone",
    "three_d_secure_passed": "1 if the cardholder was authenticated, 0 if that failed",
    "cancels_at_period_end": "subscription events: 1 if it is set to end with its period",
    # Of the customer.
    "customer_age_days": "days since the customer's first event",
    "customer_attempts_1h": f"attempts in the last hour, at most {RECENT_MAX}",
    "customer_failures_30d": f"failed attempts in the last 30 days, at most {RECENT_MAX}",
    "customer_failure_run": f"failed attempts since the last success, at most {RECENT_MAX}",
    "customer_decline_rate": "share of failed attempts, smoothed to 0.1 with 5 attempts",
    "customer_distinct_cards": f"distinct cards seen, at most {COUNTERPARTIES_MAX}",
    "amount_over_customer_mean": "amount per mean attempt of the customer, in the same currency",
    "days_since_last_success": "days since the customer's last successful attempt",
    "days_since_last_seen": "days since the customer's previous event",
    "invoices_failed": "all invoices whose payment failed",
    "subscription_past_due": "1 if past due or unpaid, else 0; absent without a live subscription",
    "subscription_trialing": "1 if in trial, else 0; absent without a live subscription",
    # Of the card.
    "card_age_days": "days since the card's first event",
    "card_attempts_1h": f"attempts on the card in the last hour, at most {RECENT_MAX}",
    "card_failures_24h": f"failed attempts on the card in the last 24 hours, at most {RECENT_MAX}",
    "card_failures_30d": f"failed attempts on the card in the last 30 days, at most {RECENT_MAX}",
    "card_distinct_customers": f"distinct customers of the card, at most {COUNTERPARTIES_MAX}",
    # Of the merchant.
    "merchant_dispute_rate": "disputes per successful attempt, smoothed to 0.005 with 100 attempts",
    "merchant_decline_rate": "share of failed attempts, smoothed to 0.1 with 50 attempts",
    "amount_over_merchant_mean": "amount per mean attempt of the merchant, in the same currency",
}
"""Each feature that `vector` can give → its meaning."""


def scope(event: PaymentEvent) -> str:
    """The account and the mode that a customer's id belongs to: `<merchant>/<live or test>`.

    A provider's ids are unique within an account and a mode only. Two merchants may choose the same
    id for two customers, and a test customer may have the id of a real one.
    """
    return f"{event.merchant_id or PLATFORM}/{'live' if event.livemode else 'test'}"


def entities(event: PaymentEvent) -> tuple[EntityKey, ...]:
    """The entities of an event, sorted. Its features come from their states."""
    provider, within = event.provider, scope(event)
    merchant = EntityKey(provider, Entity.MERCHANT, within)
    method, customer_id = _method(event), event.customer_id
    if method is not None and method.card_hash is not None:
        card = EntityKey(provider, Entity.CARD, method.card_hash)
        if customer_id is None:
            return card, merchant
        return card, EntityKey(provider, Entity.CUSTOMER, f"{within}/{customer_id}"), merchant
    if customer_id is None:
        return (merchant,)
    return EntityKey(provider, Entity.CUSTOMER, f"{within}/{customer_id}"), merchant


def apply(state: EntityState, key: EntityKey, event: PaymentEvent) -> None:
    """Folds one event into the state of one of its entities, in place."""
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
    """Yields each event with its features just before it, and folds the event into the states.

    Args:
        events: in the order in which they happened.
        states: the states at the start. They are changed in place, before each yield.
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


# --- the parts of a state, each commutative and associative ---


def _apply_attempt(state: EntityState, event: PaymentEvent) -> None:
    at = event.occurred_at
    state.attempts += 1
    _remember(state.recent_attempts_at, at)
    if event.status in APPROVED:
        state.successes += 1
        if state.last_success_at is None or at > state.last_success_at:
            state.last_success_at = at
    elif event.event_type == "charge.failed":
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
    """Keeps the `RECENT_MAX` latest times, sorted. The order of arrival makes no difference."""
    insort(latest, at)
    if len(latest) > RECENT_MAX:
        del latest[0]


def _apply_counterparty(state: EntityState, key: EntityKey, event: PaymentEvent) -> None:
    """Keeps the smallest distinct ids, sorted. The first ids would depend on the order."""
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


# --- the parts of a vector ---

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
    # An event of a subscription carries the new status; the state still has the old one.
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
    """The number of the sorted times after `since` and up to `until`.

    Later times don't count, so a late-arriving event sees only what happened before it.
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
