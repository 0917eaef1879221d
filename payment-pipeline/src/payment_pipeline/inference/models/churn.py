"""Churn: the probability that a customer's subscription ends within 30 days."""

from bisect import bisect_right
from collections import defaultdict
from datetime import timedelta
from typing import Final

import numpy as np

from payment_pipeline.domain.scoring import ScoreItem
from payment_pipeline.inference.classifier import Classifier
from payment_pipeline.inference.scorecard import Shape
from payment_pipeline.inference.training_dataset import Flags, History, Indices

WINDOW: Final = timedelta(days=30)


def _applies(item: ScoreItem) -> bool:
    # The feature is present only if the customer has a live subscription.
    return "subscription_past_due" in item.features


def _outcomes(history: History, rows: Indices) -> Flags:
    ends_s: dict[str | None, list[float]] = defaultdict(list)
    for event, at_s in zip(history.events, history.at_s.tolist(), strict=True):
        if event.event_type == "subscription.deleted":
            ends_s[event.customer_id].append(at_s)
    window_s = WINDOW.total_seconds()

    def ended(row: int) -> bool:
        at_s = float(history.at_s[row])
        ends = ends_s.get(history.events[row].customer_id, [])
        return bisect_right(ends, at_s + window_s) > bisect_right(ends, at_s)

    return np.array([ended(int(row)) for row in rows], dtype=bool)


FLAG: Final = (-1.0, 0.0, 1.0)

MODEL: Final = Classifier(
    name="churn",
    output="churn_score",
    applies_to="events of a customer who has a live subscription",
    limits=(
        "Of several subscriptions of one customer the latest status counts. Leaving by choice and"
        " leaving because no payment works are not told apart."
    ),
    label="a subscription of the customer is deleted within 30 days",
    label_window=WINDOW,
    shapes=(
        Shape("customer_age_days", (0.0, 7.0, 30.0, 60.0, 120.0), default=0.0),
        Shape("days_since_last_seen", (-1.0, 0.0, 3.0, 10.0, 20.0, 30.0, 60.0)),
        Shape("days_since_last_success", (-1.0, 0.0, 7.0, 20.0, 32.0, 45.0, 75.0)),
        Shape("subscription_past_due", (0.0, 1.0), default=0.0),
        Shape("subscription_trialing", (0.0, 1.0), default=0.0),
        Shape("cancels_at_period_end", FLAG),
        Shape("invoices_failed", (0.0, 1.0, 2.0, 3.0, 5.0, 8.0), default=0.0),
        Shape("customer_failure_run", (0.0, 1.0, 2.0, 3.0, 5.0), default=0.0),
        Shape("customer_failures_30d", (0.0, 1.0, 2.0, 3.0, 5.0), default=0.0),
        Shape("customer_decline_rate", (0.0, 0.05, 0.1, 0.2, 0.4, 0.7), default=0.1),
        Shape("customer_distinct_cards", (0.0, 1.0, 2.0, 4.0), default=0.0),
        Shape("amount_over_customer_mean", (-1.0, 0.0, 0.5, 1.0, 2.0, 4.0)),
    ),
    applies=_applies,
    outcomes=_outcomes,
)
