"""What dispatcher and worker count: lag, ranges, activities, events by outcome, what is full."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.telemetry import LATENCY_BUCKETS_S

# --- dispatcher -------------------------------------------------------------------------------

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
WORKFLOW_FAILURES: Final = Counter(
    "payments_dispatcher_workflow_failures_total",
    "Ranges whose workflow ended without reaching bronze.",
    ["topic"],
)
ERRORS: Final = Counter(
    "payments_dispatcher_errors_total",
    "Rounds that Kafka or Temporal did not answer.",
    ["component"],
)

# --- worker -----------------------------------------------------------------------------------

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
