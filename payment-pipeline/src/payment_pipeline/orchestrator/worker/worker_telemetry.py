"""What the worker counts: activities, events by where they ended, what is full or waits."""

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
from payment_pipeline.dlq.letters import COMPONENT
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import BadRecord, FailureClass, UserError
from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED
from payment_pipeline.orchestrator.retention_headroom import Ranges, headrooms, ranges_under_way
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import LATENCY_BUCKETS_S, traces

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


SAMPLE_S: Final = 30.0
"""Each time costs one indexed count in PostgreSQL and one in Temporal a type of workflow."""
RETENTION_S: Final = 120.0
"""Retention is days: this is often enough. Each time reads a record of each partition behind."""
STATUSES: Final = {
    "Running": "running",
    "Failed": "failed",
    "TimedOut": "failed",
    "Terminated": "failed",
}

log = structlog.get_logger()


def watch_pool(pool: asyncpg.Pool) -> None:
    """Read the pool's own figures whenever the metrics are asked for."""
    POOL_LIMIT.set(pool.get_max_size())
    POOL.labels("idle").set_function(pool.get_idle_size)
    POOL.labels("in_use").set_function(lambda: pool.get_size() - pool.get_idle_size())


async def keep_sampling(pool: asyncpg.Pool, client: Client, workflows: Sequence[str]) -> None:
    """Sample for as long as the worker runs; a store that is down leaves the last figures."""
    while True:
        try:
            UNSCORED.set(await bronze_reader.unscored_count(pool))
            for workflow in workflows:
                await _count(client, workflow)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, RPCError) as error:
            log.warning("gauges_old", error=type(error).__name__)
        await asyncio.sleep(SAMPLE_S)


async def keep_watching_retention(settings: Settings) -> None:
    """Say how near what is needed of each topic is to its retention, for as long as it runs.

    Without Temporal no range ends: those that it last knew of are needed still.
    """
    under_way: Ranges = {}
    while True:
        try:
            if (known := await ranges_under_way(settings)) is not None:
                under_way = known
            shares: dict[str, float] = {}
            for claim in await headrooms(settings, under_way):
                share = max(claim.share, 1.0 if claim.lost else 0.0)
                shares[claim.topic] = max(share, shares.get(claim.topic, 0.0))
            for topic in (NORMALIZED, *DEAD_LETTERS, *shares):
                CLAIM_AGE.labels(topic).set(shares.get(topic, 0.0))
        except (UserError, KafkaError, RangeStalledError, OSError) as error:
            log.warning("gauges_old", error=type(error).__name__)
        await asyncio.sleep(RETENTION_S)


async def _count(client: Client, workflow: str) -> None:
    found = await client.count_workflows(f"WorkflowType = '{workflow}' GROUP BY ExecutionStatus")
    totals = dict.fromkeys(STATUSES.values(), 0)
    for group in found.groups:
        status = STATUSES.get(str(group.group_values[0]))
        if status is not None:  # completed, cancelled, or gone on as new
            totals[status] += group.count
    for status, count in totals.items():
        WORKFLOWS.labels(workflow, status).set(count)


def scored(events: Sequence[PaymentEvent], began_ns: int, *, available: bool) -> None:
    """Events that inference was asked about; `available` if it answered."""
    tracer = traces.tracer()
    if not tracer.recording:
        return
    outcome = "answered" if available else "unavailable"
    for event in events:
        about = {"payments.event_id": event.event_id, "payments.outcome": outcome}
        tracer.record("score", event.traceparent, began_ns, about, failed=not available)


def written(done: Written, workflow_id: str, began_ns: int) -> None:
    """Events by where each of them ended."""
    if not traces.tracer().recording:
        return
    _written(done.inserted, "inserted", workflow_id, began_ns)
    _written(done.duplicates, "duplicate", workflow_id, began_ns)
    _written(done.conflicts, "conflict", workflow_id, began_ns)
    _written([row for row, _ in done.refused], "refused", workflow_id, began_ns)


def quarantined(letters: Sequence[BadRecord], workflow_id: str, began_ns: int) -> None:
    """Dead letters that are in the quarantine now."""
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
