"""The money under the fixed threshold of today and under a proposed policy, from past payments.

Both are judged by the costs of the proposed policy, on the scores that bronze stored. A payment
counts as fraud once an early fraud warning or a dispute for fraud has arrived.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg

from payment_pipeline.adapters.postgres import unreachable
from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain import decision_policy
from payment_pipeline.domain.currency import major
from payment_pipeline.domain.decision_policy import Action, CurrencyCosts, DecisionPolicy
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .terminal import Grid, Screen, fixed_column, number_column, table, text_column

DEFAULT_POLICY: Final = "decision_policy.toml"
DRAWS: Final = 2000
SEED: Final = 1
ROWS_AT_ONCE: Final = 5000
STATEMENT_TIMEOUT_MS: Final = 600_000

_SQL: Final = queries(__package__, "policy_simulation.sql")


class PastPayment(NamedTuple):
    """A scored payment of the past; a row of the query `scored_payments`."""

    livemode: bool
    currency: str
    exponent: int
    occurred_on: date
    amount_minor: int
    fraud_score: float
    is_fraud: bool


@dataclass
class Side:
    """What one way to decide cost in the whole window."""

    loss_minor: int = 0
    reviews: int = 0
    declines: int = 0

    def add(
        self, costs: CurrencyCosts, day: Sequence[PastPayment], actions: Sequence[Action]
    ) -> int:
        """Add the actions of one day; return what they cost."""
        loss = sum(
            costs.loss_minor(action, one.amount_minor, is_fraud=one.is_fraud)
            for one, action in zip(day, actions, strict=True)
        )
        self.loss_minor += loss
        self.reviews += actions.count(Action.REVIEW)
        self.declines += actions.count(Action.DECLINE)
        return loss


@dataclass
class Comparison:
    """Both ways to decide on the payments of one mode and currency. Money in the minor unit."""

    livemode: bool
    currency: str
    exponent: int
    is_judged: bool = True
    """False if the policy has no costs for this currency and exponent."""
    payments: int = 0
    frauds: int = 0
    today: Side = field(default_factory=Side)
    proposed: Side = field(default_factory=Side)
    saved_by_day: list[int] = field(default_factory=list)

    @property
    def saved_minor(self) -> int:
        """What the proposed policy would have saved against today's threshold."""
        return self.today.loss_minor - self.proposed.loss_minor

    def interval(self) -> tuple[int, int] | None:
        """The 95 % interval of `saved_minor`; `None` with fewer than two days.

        Whole days are drawn, because the frauds of one attack come together.
        """
        days = self.saved_by_day
        if len(days) < 2:
            return None
        dice = random.Random(SEED)  # noqa: S311 - a bootstrap; the same rows give the same interval
        sums = sorted(sum(dice.choices(days, k=len(days))) for _ in range(DRAWS))
        return sums[DRAWS * 25 // 1000], sums[DRAWS * 975 // 1000 - 1]


def compared(
    past: Iterable[PastPayment], policy: DecisionPolicy, threshold: float
) -> list[Comparison]:
    """Compare a fixed threshold with a policy.

    Args:
        past: payments in the order of mode, currency, exponent and day.
        policy: the proposed policy. Its costs judge both.
        threshold: today's lowest score that is reviewed. Today nothing is declined at once.
    """
    found = []
    for (live, currency, exponent), of_currency in groupby(past, key=lambda one: one[:3]):
        costs = policy.currencies.get(currency)
        one = Comparison(live, currency, exponent)
        found.append(one)
        if costs is None or costs.exponent != exponent:
            one.is_judged = False
            one.payments = sum(1 for _ in of_currency)
            continue
        for _, payments in groupby(of_currency, key=lambda each: each.occurred_on):
            day = list(payments)
            judged = [costs.judge(each.fraud_score, each.amount_minor) for each in day]
            fixed = [
                Action.REVIEW if each.fraud_score >= threshold else Action.ACCEPT for each in day
            ]
            before = one.today.add(costs, day, fixed)
            after = one.proposed.add(costs, day, costs.within_budget(judged))
            one.saved_by_day.append(before - after)
            one.payments += len(day)
            one.frauds += sum(each.is_fraud for each in day)
    return found


def simulate(
    settings: Settings,
    days: int,
    policy_file: Path | None,
    threshold: float | None,
    *,
    as_json: bool,
) -> None:
    """Print what today's threshold and a policy would have cost in the last days.

    Raises:
        UserError: the policy can't be read or is wrong, or PostgreSQL does not answer.
    """
    policy = read_policy(policy_file)
    fixed = settings.fraud_review_threshold if threshold is None else threshold
    since = datetime.now(UTC) - timedelta(days=days)
    found = compared(_past(settings, since), policy, fixed)
    screen = Screen()
    if as_json:
        screen.json(
            {
                "policy_version": policy.version,
                "threshold": fixed,
                "days": days,
                "currencies": [_as_json(one) for one in found],
            },
            indent=2,
        )
        return
    show(screen, found, policy, fixed, days)


def read_policy(path: Path | None) -> DecisionPolicy:
    """Read a policy file; without a path, the one that is part of the package.

    Raises:
        UserError: the file can't be read, or is wrong.
    """
    if path is None:
        content = files(__package__).joinpath(DEFAULT_POLICY).read_bytes()
        return decision_policy.parse(content, DEFAULT_POLICY)
    try:
        return decision_policy.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"The policy {path} can't be read: {error.strerror}.") from error


def _past(settings: Settings, since: datetime) -> Iterator[PastPayment]:
    """The rows of the window, a few at a time."""
    try:
        with psycopg.connect(settings.dsn, connect_timeout=10) as connection:
            connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            with connection.cursor("scored_payments") as cursor:
                cursor.itersize = ROWS_AT_ONCE
                cursor.execute(_SQL["scored_payments"], {"since": since})
                yield from map(PastPayment._make, cursor)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise UserError(
            "The database schema is older than this code. Run `payments migrate`."
        ) from None
    except psycopg.OperationalError as refusal:
        raise unreachable(settings.dsn, type(refusal).__name__) from None


def show(
    screen: Screen, found: list[Comparison], policy: DecisionPolicy, threshold: float, days: int
) -> None:
    """Print the comparison of each currency, and how to read it."""
    judged = [one for one in found if one.is_judged]
    if not judged:
        screen.line(f"No scored payment of the last {days} days is in a currency of the policy.")
    else:
        screen.line(
            f"The last {days} days: today (review from a score of {threshold:g}) against policy "
            f"{policy.version}."
        )
        screen.grid(_table(judged))
        screen.line(
            "saved: with its 95 % interval over days. Both columns use the costs of the policy, "
            "and take it that a review finds the truth."
        )
        screen.line(
            "A payment is fraud once a warning or a dispute for fraud has arrived; for payments "
            "younger than 120 days more may follow."
        )
    for one in found:
        if not one.is_judged:
            screen.line(
                f"Not judged: {one.payments} payments in {one.currency} with {one.exponent} "
                "decimals. The policy has no costs for them."
            )


def _table(found: list[Comparison]) -> Grid:
    shown = table(
        fixed_column("currency"),
        number_column("payments, frauds"),
        number_column("loss today"),
        number_column("loss proposed"),
        text_column("saved"),
        number_column("reviews, declines"),
    )
    for one in found:
        between = one.interval()
        money = [f"{major(one.saved_minor, one.exponent):,}"]
        if between is None:
            money.append("interval unknown: one day")
        else:
            low, high = (f"{major(end, one.exponent):,}" for end in between)
            money.append(f"{low} to {high}")
        shown.row(
            [one.currency, "live" if one.livemode else "test"],
            [f"{one.payments:,}", f"{one.frauds:,}"],
            f"{major(one.today.loss_minor, one.exponent):,}",
            f"{major(one.proposed.loss_minor, one.exponent):,}",
            money,
            [
                f"{one.today.reviews:,} → {one.proposed.reviews:,}",
                f"{one.today.declines:,} → {one.proposed.declines:,}",
            ],
        )
    return shown


def _as_json(one: Comparison) -> dict[str, Any]:
    between = one.interval() if one.is_judged else None
    return {
        "livemode": one.livemode,
        "currency": one.currency,
        "exponent": one.exponent,
        "is_judged": one.is_judged,
        "payments": one.payments,
        "frauds": one.frauds if one.is_judged else None,
        "today": vars(one.today) if one.is_judged else None,
        "proposed": vars(one.proposed) if one.is_judged else None,
        "saved_minor": one.saved_minor if one.is_judged else None,
        "saved_minor_lower": between[0] if between else None,
        "saved_minor_upper": between[1] if between else None,
    }
