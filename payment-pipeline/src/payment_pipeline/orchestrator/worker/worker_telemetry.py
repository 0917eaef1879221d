"""The worker's Prometheus metrics, and the spans of the events in a batch.

A range is one workflow of up to 1,000 events, so the spans of its activities belong to the range's
trace. Each event also has a span of its own trace for scoring and for writing, with a link to the
range's trace.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge, Histogram
from temporalio.client import Client
from temporalio.service import RPCError

from payment_pipeline.adapters.kafka_ranges import RangeStalledError
from payment_pipeline.bronze import bronze_reader
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.bronze.writer import Written
from payment_pipeline.dlq.dead_letter_rows import COMPONENT
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import BadRecord, FailureClass, UserError
from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED
from payment_pipeline.orchestrator.retention_headroom import Ranges, headrooms, ranges_under_way
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import LATENCY_BUCKETS_S, traces

ACTIVITIES: Final = Histogram(
    "payments_worker_activity_duration_seconds",
    "Duration of one attempt of an activity, by result: done or failed.",
    ["activity", "result"],
    buckets=LATENCY_BUCKETS_S,
)
EVENTS: Final = Counter("payments_worker_events_total", "Events by outcome.", ["outcome"])
QUARANTINED: Final = Counter(
    "payments_worker_quarantined_total",
    "Dead letters written to the quarantine, by failure class and rejecting component.",
    ["failure", "component"],
)
# This series starts at 0: Prometheus sees no increase when a series appears with 1.
QUARANTINED.labels(FailureClass.CONFLICTING_BODY, COMPONENT)
FOLLOW_UPS: Final = Counter(
    "payments_worker_follow_ups_total",
    "Reviews and recoveries to start, found in written batches.",
    ["kind"],
)
INFERENCE_FAILURES: Final = Counter(
    "payments_worker_inference_failures_total",
    "Batches that inference did not score; their rows were written without scores.",
    ["reason"],
)
POOL: Final = Gauge(
    "payments_worker_pool_connections", "Connections to PostgreSQL, by state.", ["state"]
)
POOL_LIMIT: Final = Gauge(
    "payments_worker_pool_connections_max", "Maximum of connections to PostgreSQL."
)
UNSCORED: Final = Gauge(
    "payments_worker_unscored_rows",
    "Rows that were written while inference was down and have no scores yet.",
)
WORKFLOWS: Final = Gauge(
    "payments_worker_workflows",
    "Workflows that Temporal still keeps, by type and status: running, or finally failed.",
    ["workflow", "status"],
)
RETENTION_USED: Final = Gauge(
    "payments_worker_claim_age_ratio",
    "Age of a topic's oldest needed record, as a share of its retention; at 1 Kafka may delete it.",
    ["topic"],
)


SAMPLE_S: Final = 30.0
"""Time between two samples. A sample costs one indexed count in PostgreSQL, and for each workflow
type one count in Temporal."""
RETENTION_SAMPLE_S: Final = 120.0
"""Time between two samples of the retention headroom; retention is days. A sample reads one record
of each partition that has lag."""
STATUSES: Final = {
    "Running": "running",
    "Failed": "failed",
    "TimedOut": "failed",
    "Terminated": "failed",
}

log = structlog.get_logger()


def watch_pool(pool: asyncpg.Pool) -> None:
    """Read the pool's connection counts at each scrape."""
    POOL_LIMIT.set(pool.get_max_size())
    POOL.labels("idle").set_function(pool.get_idle_size)
    POOL.labels("in_use").set_function(lambda: pool.get_size() - pool.get_idle_size())


async def keep_sampling(pool: asyncpg.Pool, client: Client, workflows: Sequence[str]) -> None:
    """Sample counts until cancelled; while a store is down the metrics keep their last values."""
    while True:
        try:
            UNSCORED.set(await bronze_reader.unscored_count(pool))
            for workflow in workflows:
                await _count(client, workflow)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, RPCError) as error:
            log.warning("gauges_old", error=type(error).__name__)
        await asyncio.sleep(SAMPLE_S)


async def keep_watching_retention(settings: Settings) -> None:
    """Sample each topic's retention headroom until cancelled.

    While Temporal is down no range can end, so the ranges of the last answer are still needed.
    """
    under_way: Ranges = {}
    while True:
        try:
            if (known := await ranges_under_way(settings)) is not None:
                under_way = known
            shares: dict[str, float] = {}
            for headroom in await headrooms(settings, under_way):
                share = max(headroom.share, 1.0 if headroom.lost else 0.0)
                shares[headroom.topic] = max(share, shares.get(headroom.topic, 0.0))
            for topic in (NORMALIZED, *DEAD_LETTERS, *shares):
                RETENTION_USED.labels(topic).set(shares.get(topic, 0.0))
        except (UserError, KafkaError, RangeStalledError, OSError) as error:
            log.warning("gauges_old", error=type(error).__name__)
        await asyncio.sleep(RETENTION_SAMPLE_S)


async def _count(client: Client, workflow: str) -> None:
    found = await client.count_workflows(f"WorkflowType = '{workflow}' GROUP BY ExecutionStatus")
    totals = dict.fromkeys(STATUSES.values(), 0)
    for group in found.groups:
        status = STATUSES.get(str(group.group_values[0]))
        if status is not None:  # not counted: completed, cancelled, continued as new
            totals[status] += group.count
    for status, count in totals.items():
        WORKFLOWS.labels(workflow, status).set(count)


def scored(events: Sequence[PaymentEvent], began_ns: int, *, available: bool) -> None:
    """Record a span for each event sent to inference; `available` if inference answered."""
    tracer = traces.tracer()
    if not tracer.recording:
        return
    outcome = "answered" if available else "unavailable"
    for event in events:
        about = {"payments.event_id": event.event_id, "payments.outcome": outcome}
        tracer.record("score", event.traceparent, began_ns, about, failed=not available)


def written(done: Written, workflow_id: str, began_ns: int) -> None:
    """Record a span for each event of a written batch, with the event's outcome."""
    if not traces.tracer().recording:
        return
    _written(done.inserted, "inserted", workflow_id, began_ns)
    _written(done.duplicates, "duplicate", workflow_id, began_ns)
    _written(done.conflicts, "conflict", workflow_id, began_ns)
    _written([row for row, _ in done.refused], "refused", workflow_id, began_ns)


def quarantined(letters: Sequence[BadRecord], workflow_id: str, began_ns: int) -> None:
    """Record a span for each dead letter written to the quarantine."""
    tracer = traces.tracer()
    if not tracer.recording:
        return
    for letter in letters:
        about = {
            "payments.event_id": letter.event_id or "",
            "payments.failure": letter.failure.value,
            "payments.workflow_id": workflow_id,
        }
        tracer.record("quarantine", letter.traceparent, began_ns, about)


def _written(rows: Sequence[ScoredEvent], outcome: str, workflow_id: str, began_ns: int) -> None:
    tracer = traces.tracer()
    for event, _, status in rows:
        about = {
            "payments.event_id": event.event_id,
            "payments.event_type": event.event_type,
            "payments.payment_id": event.payment_id or "",
            "payments.outcome": outcome,
            "payments.inference_status": status.value,
            "payments.workflow_id": workflow_id,
            "db.system.name": "postgresql",
            "db.collection.name": "payment_events",
        }
        tracer.record("write bronze", event.traceparent, began_ns, about)
