"""The normalizer's Prometheus metrics."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.telemetry import LATENCY_BUCKETS_S

RECORDS: Final = Counter(
    "payments_normalizer_records_total",
    "Raw records that were processed and acknowledged, by outcome.",
    ["outcome", "kind"],
)
DEAD_LETTERS: Final = Counter(
    "payments_normalizer_dead_letters_total",
    "Records sent to the validation topic, by failure class.",
    ["failure"],
)
# Each class starts at 0: Prometheus sees no increase when a series appears with 1.
for _failure in FailureClass:
    DEAD_LETTERS.labels(_failure)
PRODUCE_ERRORS: Final = Counter(
    "payments_normalizer_produce_errors_total",
    "Records that Kafka did not acknowledge, counted at each attempt.",
)
LAG: Final = Gauge(
    "payments_normalizer_consumer_lag_records",
    "Raw records not read yet, by topic, in the partitions assigned to this process.",
    ["topic"],
)
DURATION_S: Final = Histogram(
    "payments_normalizer_batch_duration_seconds",
    "Time from a batch's first send to its commit.",
    buckets=LATENCY_BUCKETS_S,
)
