"""Retry strategy: the allowed strategy that is most likely to get a failed payment paid.

The rules (`inference.retry_rules`) filter first. The model ranks the allowed strategies. It
learns from past retries: a failed charge, the wait before the next attempt on the same card, and
the success of that attempt. Each kind of decline has its own effect of the wait: an unavailable
issuer is back in an hour, while missing money arrives on payday.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from payment_pipeline.domain.declines import CLASSES, DeclineClass, DeclineReason
from payment_pipeline.domain.events import Charge
from payment_pipeline.domain.features import FEATURES
from payment_pipeline.domain.scoring import ScoreItem
from payment_pipeline.inference.classifier import describe, uses
from payment_pipeline.inference.model import Trained
from payment_pipeline.inference.model_card import judge
from payment_pipeline.inference.retry_rules import DEFAULT_RULES, Allowance, RetryRules
from payment_pipeline.inference.retry_rules import load as load_rules
from payment_pipeline.inference.scorecard import Scorecard, Shape, filled, fit
from payment_pipeline.inference.training_dataset import (
    Flags,
    Floats,
    History,
    Indices,
    split_by_time,
)
from payment_pipeline.settings import Settings

WINDOW: Final = timedelta(days=20)
"""An attempt after this time is not counted as a retry of the failure."""
WAIT_MIN: Final = timedelta(minutes=30)
"""An attempt before this time is made by a person at the checkout, so it is not a retry."""
SMOOTHING: Final = 3.0
"""Higher than the default, because there are few retries."""
HOUR_S: Final = 3600.0

KINDS: Final[Mapping[str, frozenset[DeclineReason]]] = {
    "no_money": frozenset({DeclineReason.INSUFFICIENT_FUNDS}),
    "transient": frozenset(
        reason for reason, of in CLASSES.items() if of is DeclineClass.TRANSIENT
    ),
    "limit": frozenset({DeclineReason.LIMIT_EXCEEDED}),
    "card_data": frozenset(
        reason for reason, of in CLASSES.items() if of is DeclineClass.CARD_DATA
    ),
}
"""Decline reasons by kind: by what makes a retry succeed. Other reasons are of the kind `other`."""

_WAIT_H: Final = (-1.0, 0.0, 1.0, 24.0, 72.0, 120.0, 240.0)
_OF_WAIT: Final = tuple(f"wait_h_if_{kind}" for kind in (*KINDS, "other"))
_PAYDAY: Final = "payday_if_no_money"
_OF_EVENT: Final = (
    Shape("customer_failure_run", (-1.0, 0.0, 1.0, 2.0, 3.0, 5.0)),
    Shape("customer_failures_30d", (-1.0, 0.0, 1.0, 2.0, 3.0, 5.0, 10.0)),
    Shape("customer_decline_rate", (-1.0, 0.0, 0.1, 0.2, 0.4, 0.7)),
    Shape("days_since_last_success", (-1.0, 0.0, 20.0, 35.0, 60.0)),
    Shape("amount_over_customer_mean", (-1.0, 0.0, 1.0, 2.0, 4.0)),
    Shape("is_prepaid", (-1.0, 0.0, 1.0)),
)
_SHAPES: Final = (
    *_OF_EVENT,
    *(Shape(name, _WAIT_H) for name in _OF_WAIT),
    Shape(_PAYDAY, (-1.0, 0.0, 1.0)),
)
_MEANINGS: Final = {
    **FEATURES,
    **dict.fromkeys(_OF_WAIT, "hours until the retry, for this kind of decline alone"),
    _PAYDAY: "1 when the retry is on the 1st, 2nd, 15th or 16th and money was short, 0 when not",
}
_PAYDAYS: Final = (1, 2, 15, 16)


class Tried(NamedTuple):
    """The retries after some failed charges, and their results."""

    rows: list[int]
    """The failed charge, as a row of the history."""
    wait_s: list[float]
    succeeded: list[bool]


class RetryStrategy:
    """The model of `models/retry_strategy.py`."""

    name = "retry_strategy"
    output = "retry_strategy"
    method = (
        "Network rules, then a generalized additive logistic regression of a retry's success that"
        " ranks what they allow."
    )
    applies_to = "failed attempts: payment.failed, charge.failed, invoice.payment_failed"
    label = "the next attempt on the same payment and card succeeds"
    limits = (
        "Learned from retries that were made, so it knows nothing of those that nobody makes."
        " Asking the customer is advised by rule, or where no retry is likely; it isn't ranked."
    )

    def applies(self, item: ScoreItem) -> bool:
        """Every failed attempt."""
        return item.decline is not None

    def train(self, history: History) -> Trained:
        """Train on past retries. On the holdout, compare the advice with fixed schedules."""
        tried = _tried(history)
        rows, waits = np.array(tried.rows, dtype=np.intp), np.array(tried.wait_s)
        labels = np.zeros(len(history.items), dtype=bool)
        labels[rows] = tried.succeeded
        wait_of = dict(zip(tried.rows, tried.wait_s, strict=True))
        split = split_by_time(history.at_s, rows, WINDOW)
        data = describe(history, split, labels, self.name, self.label)

        def values(part: Indices) -> Floats:
            items = [history.items[row] for row in part]
            chosen = np.array([wait_of[int(row)] for row in part])
            return _values(items, history.features[part], chosen)

        estimator = fit(
            _SHAPES,
            (values(split.train), labels[split.train]),
            (values(split.calibration), labels[split.calibration]),
            smoothing=SMOOTHING,
        )
        card = Scorecard(_SHAPES, estimator)
        predicted = card.probabilities(card.contributions(values(split.holdout)))
        metrics, bins = judge(labels[split.holdout], predicted)
        late = np.isin(rows, split.holdout)
        metrics |= _uplift(card, history, rows[late], waits[late], labels[rows[late]])
        return Trained(estimator, data, uses(card, _MEANINGS), metrics, bins)

    def load(self, estimator: BaseEstimator, settings: Settings) -> "RetryScorer":
        """Compile the estimator, and read the rules."""
        return RetryScorer(Scorecard(_SHAPES, estimator), load_rules(settings.retry_rules))


class RetryScorer:
    """Returns the best strategy that the rules allow."""

    def __init__(self, card: Scorecard, rules: RetryRules) -> None:
        self.card, self.rules = card, rules

    def score(self, items: Sequence[ScoreItem], features: Floats) -> list[dict[str, object]]:
        """Return a strategy per event. `detail` has its success probability and the rule."""
        allowed = [self.rules.judge(item) for item in items]
        owner = np.repeat(np.arange(len(items)), [len(one.retries) for one in allowed])
        waits = np.array([delay for one in allowed for _, delay in one.retries], dtype=np.float64)
        values = _values([items[index] for index in owner.tolist()], features[owner], waits)
        added = self.card.contributions(values)
        success = self.card.probabilities(added)
        worth = success * (1 - self.rules.discount_per_day) ** (waits / (24 * HOUR_S))
        reasons = self.card.reasons(added)
        answers, start = [], 0
        for one in allowed:
            end = start + len(one.retries)
            if end == start:
                answers.append(_no_retry(one))
            else:
                best = start + int(np.argmax(worth[start:end]))
                chance = float(success[best])
                answers.append(self._answer(one, best - start, chance, reasons[best]))
            start = end
        return answers

    def content(self) -> dict[str, object]:
        """The compiled table, without the rules: a version does not depend on them."""
        return self.card.content()

    def _answer(
        self, allowed: Allowance, best: int, chance: float, reasons: list[dict[str, object]]
    ) -> dict[str, object]:
        name, delay_s = allowed.retries[best]
        detail: dict[str, object] = {
            "attempts_left": allowed.attempts_left,
            "success_probability": round(chance, 6),
        }
        if allowed.rule is not None:
            detail["rule"] = allowed.rule
        if chance < self.rules.success_probability_min:
            detail["rule"] = "success_probability_min"
            name = self.rules.ask[0] if self.rules.ask else self.rules.give_up
        else:
            detail["delay_s"] = delay_s
        return {"value": name, "reasons": reasons, "detail": detail}


def _no_retry(allowed: Allowance) -> dict[str, object]:
    """Return the answer that a rule decides. A rule adds nothing to the log-odds."""
    return {
        "value": allowed.instead,
        "reasons": [{"feature": f"rule:{allowed.rule}", "contribution": 0.0}],
        "detail": {"attempts_left": allowed.attempts_left, "rule": allowed.rule},
    }


def _values(items: Sequence[ScoreItem], features: Floats, waits_s: Floats) -> Floats:
    """The columns of `_SHAPES`: one row an event and a wait that could follow it."""
    values = np.full((len(items), len(_SHAPES)), -1.0)
    values[:, : len(_OF_EVENT)] = filled(features, _OF_EVENT)
    for row, (item, wait_s) in enumerate(zip(items, waits_s.tolist(), strict=True)):
        kind = _kind(item.decline or {})
        values[row, len(_OF_EVENT) + kind] = wait_s / HOUR_S
        if kind == _NO_MONEY:
            then = item.occurred_at + timedelta(seconds=wait_s)
            values[row, -1] = float(then.day in _PAYDAYS)
    return values


_NO_MONEY: Final = list(KINDS).index("no_money")
_KIND_OF: Final[Mapping[str, int]] = {
    reason: index for index, reasons in enumerate(KINDS.values()) for reason in reasons
}


def _kind(decline: Mapping[str, str]) -> int:
    return _KIND_OF.get(decline.get("decline_reason", ""), len(KINDS))


def _tried(history: History) -> Tried:
    """Collect every failed charge with a later attempt on the same payment and card."""
    attempts: dict[str | None, list[tuple[int, Charge]]] = defaultdict(list)
    for row, event in enumerate(history.events):
        if isinstance(event, Charge) and event.event_type in ("charge.succeeded", "charge.failed"):
            attempts[event.payment_id].append((row, event))
    tried = Tried([], [], [])
    for of_payment in attempts.values():
        for (row, first), (_, then) in pairwise(of_payment):
            wait = then.occurred_at - first.occurred_at
            failed = first.event_type == "charge.failed"
            if failed and _card(first) == _card(then) and WAIT_MIN <= wait < WINDOW:
                tried.rows.append(row)
                tried.wait_s.append(wait.total_seconds())
                tried.succeeded.append(then.event_type == "charge.succeeded")
    return tried


def _card(charge: Charge) -> str | None:
    return charge.payment_method.card_hash if charge.payment_method else None


def _uplift(
    card: Scorecard, history: History, rows: Indices, waits_s: Floats, succeeded: Flags
) -> dict[str, float]:
    """Compare the success of retries that match the model's advice with other retries.

    The others are all retries, and the retries after 24 hours. The comparison is fair only if waits
    were chosen independently of the failure, as in the simulated year.
    """
    rules = load_rules(DEFAULT_RULES)
    names = list(rules.retries)
    items = [history.items[row] for row in rows]
    delays = np.array(
        [[retry.delay_from(item.occurred_at) for retry in rules.retries.values()] for item in items]
    )
    tried = np.abs(np.log(delays / waits_s[:, None])).argmin(axis=1)
    by_choice = [
        card.probabilities(
            card.contributions(_values(items, history.features[rows], delays[:, column]))
        )
        for column in range(len(names))
    ]
    worth = np.array(by_choice).T * (1 - rules.discount_per_day) ** (delays / (24 * HOUR_S))
    followed = worth.argmax(axis=1) == tried
    daily = tried == names.index("retry_in_24h")
    measured = {"all_retries": tried >= 0, "after_24h_always": daily, "as_advised": followed}
    metrics = {}
    for name, these in measured.items():
        share, count = float(succeeded[these].mean()), int(these.sum())
        metrics[f"success_{name}"] = round(share, 5)
        metrics[f"success_{name}_standard_error"] = round((share * (1 - share) / count) ** 0.5, 5)
    return metrics


MODEL: Final = RetryStrategy()
