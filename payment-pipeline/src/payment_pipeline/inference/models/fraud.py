"""Fraud: the probability that the cardholder reports a payment as fraudulent."""

from datetime import timedelta
from typing import Final

import numpy as np

from payment_pipeline.domain.events import Dispute, FraudWarning
from payment_pipeline.domain.scoring import ScoreItem
from payment_pipeline.inference.classifier import Classifier
from payment_pipeline.inference.scorecard import Shape
from payment_pipeline.inference.training_dataset import Flags, History, Indices

AT_STAKE: Final = frozenset(
    {
        "payment.created",
        "payment.processing",
        "payment.requires_action",
        "payment.amount_capturable_updated",
        "payment.partially_funded",
        "payment.succeeded",
        "charge.pending",
        "charge.succeeded",
        "charge.captured",
    }
)
"""Events before or just after money moves. A failed or refunded payment has no money at risk, and
its label would always be negative."""

COUNT: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 20.0)
RATIO: Final = (-1.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
AGE_DAYS: Final = (-1.0, 0.0, 0.1, 1.0, 7.0, 30.0, 120.0)
FLAG: Final = (-1.0, 0.0, 1.0)


def _applies(item: ScoreItem) -> bool:
    return item.event_type in AT_STAKE


def _outcomes(history: History, rows: Indices) -> Flags:
    reported = {
        event.payment_id
        for event in history.events
        if isinstance(event, FraudWarning)
        or (isinstance(event, Dispute) and event.reason == "fraudulent")
    } - {None}
    return np.array([history.events[row].payment_id in reported for row in rows], dtype=bool)


MODEL: Final = Classifier(
    name="fraud",
    output="fraud_score",
    applies_to="payments and charges until the money has moved: " + ", ".join(sorted(AT_STAKE)),
    limits=(
        "Payments that failed are not scored. Fraud that nobody reports counts as honest. Disputes"
        " that falsely claim fraud count as fraud."
    ),
    label="an early fraud warning, or a dispute for fraud, on the payment within 30 days",
    label_window=timedelta(days=30),
    shapes=(
        Shape("amount_log10_major", (0.0, 1.0, 2.0, 3.0, 4.0), default=1.5),
        Shape("amount_over_customer_mean", RATIO),
        Shape("amount_over_merchant_mean", RATIO),
        Shape("risk_score", (-1.0, 0.0, 15.0, 30.0, 45.0, 60.0, 80.0, 100.0)),
        Shape("cvc_check_failed", FLAG),
        Shape("postal_check_failed", FLAG),
        Shape("is_prepaid", FLAG),
        Shape("is_wallet", FLAG),
        Shape("three_d_secure_passed", FLAG),
        Shape("customer_age_days", AGE_DAYS),
        Shape("customer_attempts_1h", (-1.0, *COUNT)),
        Shape("customer_failure_run", (-1.0, *COUNT)),
        Shape("customer_decline_rate", (-1.0, 0.0, 0.1, 0.2, 0.4, 0.7)),
        Shape("customer_distinct_cards", (-1.0, *COUNT)),
        Shape("card_age_days", AGE_DAYS),
        Shape("card_attempts_1h", (-1.0, *COUNT)),
        Shape("card_failures_24h", (-1.0, *COUNT)),
        Shape("card_distinct_customers", (-1.0, *COUNT)),
        Shape("merchant_dispute_rate", (0.0, 0.005, 0.01, 0.03, 0.1), default=0.005),
        Shape("merchant_decline_rate", (0.0, 0.05, 0.1, 0.2, 0.4), default=0.1),
    ),
    applies=_applies,
    outcomes=_outcomes,
)
