"""What the dispatcher counts: lag, ranges under way, what a start takes, workflows that failed."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED
from payment_pipeline.telemetry import LATENCY_BUCKETS_S

LAG: Final = Gauge(
    "payments_dispatcher_consumer_lag_records",
    "Offsets not yet handed to Temporal.",
    ["topic", "partition"],
)
OPEN_RANGES: Final = Gauge(
    "payments_dispatcher_open_ranges", "Ranges under way, as far as this process knows."
)
OPEN_RANGES_LIMIT: Final = Gauge(
    "payments_dispatcher_open_ranges_max", "So many ranges may be under way."
)
RANGES: Final = Counter(
    "payments_dispatcher_ranges_started_total", "Ranges that Temporal acknowledged.", ["topic"]
)
START_DURATION_S: Final = Histogram(
    "payments_dispatcher_start_duration_seconds",
    "From asking Temporal to start a range to its acknowledgement.",
    buckets=LATENCY_BUCKETS_S,
)
WORKFLOW_FAILURES: Final = Counter(
    "payments_dispatcher_workflow_failures_total",
    "Ranges whose workflow ended without reaching bronze.",
    ["topic"],
)
for _topic in (NORMALIZED, *DEAD_LETTERS):  # or the first one would be no increase to Prometheus
    WORKFLOW_FAILURES.labels(_topic)
ERRORS: Final = Counter(
    "payments_dispatcher_errors_total",
    "Rounds that Kafka or Temporal did not answer.",
    ["component"],
)
for _component in ("kafka", "temporal"):
    ERRORS.labels(_component)
