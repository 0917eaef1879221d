"""How full is the worker, and what waits or has failed? Looked at now and then, for the metrics."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from temporalio.client import Client
from temporalio.service import RPCError

from payment_pipeline.adapters.kafka_ranges import RangeStalledError
from payment_pipeline.bronze import reader
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED
from payment_pipeline.orchestrator import worker_metrics as metrics
from payment_pipeline.orchestrator.claims import Ranges, claims, ranges_under_way
from payment_pipeline.settings import Settings

SAMPLE_S: Final = 30.0
"""Each time costs one indexed count in PostgreSQL and one in Temporal a type of workflow."""
CLAIMS_S: Final = 120.0
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
    metrics.POOL_LIMIT.set(pool.get_max_size())
    metrics.POOL.labels("idle").set_function(pool.get_idle_size)
    metrics.POOL.labels("in_use").set_function(lambda: pool.get_size() - pool.get_idle_size())


async def keep_sampling(pool: asyncpg.Pool, client: Client, workflows: Sequence[str]) -> None:
    """Sample for as long as the worker runs; a store that is down leaves the last figures."""
    while True:
        try:
            metrics.UNSCORED.set(await reader.unscored_count(pool))
            for workflow in workflows:
                await _count(client, workflow)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, RPCError) as error:
            log.warning("gauges_old", error=type(error).__name__)
        await asyncio.sleep(SAMPLE_S)


async def keep_watching_claims(settings: Settings) -> None:
    """Say how near what is needed of each topic is to its retention, for as long as it runs.

    Without Temporal no range ends: those that it last knew of are needed still.
    """
    under_way: Ranges = {}
    while True:
        try:
            if (known := await ranges_under_way(settings)) is not None:
                under_way = known
            shares: dict[str, float] = {}
            for claim in await claims(settings, under_way):
                share = max(claim.share, 1.0 if claim.lost else 0.0)
                shares[claim.topic] = max(share, shares.get(claim.topic, 0.0))
            for topic in (NORMALIZED, *DEAD_LETTERS, *shares):
                metrics.CLAIM_AGE.labels(topic).set(shares.get(topic, 0.0))
        except (UserError, KafkaError, RangeStalledError, OSError) as error:
            log.warning("gauges_old", error=type(error).__name__)
        await asyncio.sleep(CLAIMS_S)


async def _count(client: Client, workflow: str) -> None:
    found = await client.count_workflows(f"WorkflowType = '{workflow}' GROUP BY ExecutionStatus")
    totals = dict.fromkeys(STATUSES.values(), 0)
    for group in found.groups:
        status = STATUSES.get(str(group.group_values[0]))
        if status is not None:  # completed, cancelled, or gone on as new
            totals[status] += group.count
    for status, count in totals.items():
        metrics.WORKFLOWS.labels(workflow, status).set(count)
