"""The dispatcher's Prometheus metrics."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED
from payment_pipeline.telemetry import LATENCY_BUCKETS_S

LAG: Final = Gauge(
    "payments_dispatcher_consumer_lag_records",
    "Offsets not handed to Temporal yet.",
    ["topic", "partition"],
)
OPEN_RANGES: Final = Gauge(
    "payments_dispatcher_open_ranges", "Ranges that this process started and that still run."
)
OPEN_RANGES_LIMIT: Final = Gauge(
    "payments_dispatcher_open_ranges_max", "Maximum of ranges that may run at a time."
)
RANGES: Final = Counter(
    "payments_dispatcher_ranges_started_total",
    "Ranges whose start Temporal acknowledged.",
    ["topic"],
)
START_DURATION_S: Final = Histogram(
    "payments_dispatcher_start_duration_seconds",
    "Time from the request to start a range until Temporal's acknowledgement.",
    buckets=LATENCY_BUCKETS_S,
)
WORKFLOW_FAILURES: Final = Counter(
    "payments_dispatcher_workflow_failures_total",
    "Ranges whose workflow failed before their events were in bronze.",
    ["topic"],
)
# Each series starts at 0: Prometheus sees no increase when a series appears with 1.
for _topic in (NORMALIZED, *DEAD_LETTERS):
    WORKFLOW_FAILURES.labels(_topic)
ERRORS: Final = Counter(
    "payments_dispatcher_errors_total",
    "Rounds that failed because Kafka or Temporal did not answer.",
    ["component"],
)
for _component in ("kafka", "temporal"):
    ERRORS.labels(_component)
