"""What the normalizer counts: records by outcome, dead letters by class, lag, a batch's time."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.telemetry import LATENCY_BUCKETS_S

RECORDS: Final = Counter(
    "payments_normalizer_records_total",
    "Raw records by what became of them, once acknowledged.",
    ["outcome", "kind"],
)
DEAD_LETTERS: Final = Counter(
    "payments_normalizer_dead_letters_total",
    "Records sent to the validation topic, by failure class.",
    ["failure"],
)
for _failure in FailureClass:  # or the first one of a class would be no increase to Prometheus
    DEAD_LETTERS.labels(_failure)
PRODUCE_ERRORS: Final = Counter(
    "payments_normalizer_produce_errors_total", "Records that Kafka did not acknowledge at a try."
)
LAG: Final = Gauge(
    "payments_normalizer_consumer_lag_records",
    "Raw records not yet read, by topic, over this one's partitions.",
    ["topic"],
)
DURATION_S: Final = Histogram(
    "payments_normalizer_batch_duration_seconds",
    "From a batch's first send to its commit.",
    buckets=LATENCY_BUCKETS_S,
)
