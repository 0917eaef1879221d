"""What the worker counts: activities, events by where they ended, what is full or waits."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.dlq.letters import COMPONENT
from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.telemetry import LATENCY_BUCKETS_S

ACTIVITIES: Final = Histogram(
    "payments_worker_activity_duration_seconds",
    "One try of an activity: done, or failed and tried again.",
    ["activity", "result"],
    buckets=LATENCY_BUCKETS_S,
)
EVENTS: Final = Counter("payments_worker_events_total", "Events by where they ended.", ["outcome"])
QUARANTINED: Final = Counter(
    "payments_worker_quarantined_total",
    "Dead letters written to the quarantine, by failure class and who rejected them.",
    ["failure", "component"],
)
# Or the first one would be no increase to Prometheus.
QUARANTINED.labels(FailureClass.CONFLICTING_BODY, COMPONENT)
FOLLOW_UPS: Final = Counter(
    "payments_worker_follow_ups_total", "Reviews and recoveries that batches led to.", ["kind"]
)
INFERENCE_FAILURES: Final = Counter(
    "payments_worker_inference_failures_total",
    "Batches that inference did not score; their rows went on without.",
    ["reason"],
)
POOL: Final = Gauge(
    "payments_worker_pool_connections", "Connections to PostgreSQL, by state.", ["state"]
)
POOL_LIMIT: Final = Gauge(
    "payments_worker_pool_connections_max", "So many connections may be open."
)
UNSCORED: Final = Gauge(
    "payments_worker_unscored_rows", "Rows written while inference was down that wait for scores."
)
WORKFLOWS: Final = Gauge(
    "payments_worker_workflows",
    "Workflows that Temporal still knows, by type; running, or failed for good.",
    ["workflow", "status"],
)
CLAIM_AGE: Final = Gauge(
    "payments_worker_claim_age_ratio",
    "Age of a topic's oldest record that is still needed, over its retention; at 1 it may go.",
    ["topic"],
)
