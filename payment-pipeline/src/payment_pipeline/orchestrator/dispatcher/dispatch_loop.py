"""The dispatcher's loop: close offset ranges, start a workflow for each, commit their offsets.

The dispatcher fetches no record: it asks Kafka for the ends of the partitions. It commits the
offsets of a range when Temporal has acknowledged the start of the range's workflow. Two dispatchers
at once would do the same work twice, without harm.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from temporalio.client import Client, WorkflowContinuedAsNewError, WorkflowFailureError
from temporalio.client import WorkflowHandle as Handle
from temporalio.service import RPCError

from payment_pipeline.adapters import kafka
from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED
from payment_pipeline.orchestrator.dispatcher import dispatcher_metrics as metrics
from payment_pipeline.orchestrator.dispatcher.partition_cursors import (
    PartitionCursor,
    assigned_cursors,
    due,
    has_new_partitions,
)
from payment_pipeline.orchestrator.dispatcher.range_starts import start_range
from payment_pipeline.orchestrator.messages import OffsetRange
from payment_pipeline.settings import Settings

GROUP: Final = "dispatcher"
TOPICS: Final = (NORMALIZED, *DEAD_LETTERS)

POLL_S: Final = 0.05
"""Time between two requests for the ends of the partitions."""
HEALTH_EVERY_S: Final = 1.0
"""Time between two questions to Temporal whether it answers, while no range is open. A question in
each round took 1 % of a core here, and as much in Temporal."""
OPEN_RANGES_MAX: Final = 6
"""Ranges that run at a time. More ranges would only wait for each other at the worker."""
RANGE_WAIT_S_MAX: Final = 60.0
"""A range that runs longer no longer counts as open. It waits for a store that is down, and as an
open range it would keep other ranges from being tried."""
KAFKA_DEADLINE_S: Final = 10.0
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
READY_WITHIN_S: Final = 15.0
"""The dispatcher is ready if Kafka and Temporal have answered within this time."""

log = structlog.get_logger()


class Dispatcher:
    """Dispatches all partitions of the topics, with at most `OPEN_RANGES_MAX` open ranges."""

    def __init__(self, settings: Settings, client: Client) -> None:
        """`client` may connect lazily: Temporal may start after the dispatcher."""
        self._settings = settings
        self._client = client
        self._open_ranges: set[asyncio.Task[None]] = set()
        self._answered_at_s = -READY_WITHIN_S
        self._health_due_s = 0.0

    def ready(self) -> bool:
        """True if Kafka and Temporal have answered lately."""
        return monotonic() - self._answered_at_s < READY_WITHIN_S

    async def run(self) -> None:
        """Dispatch until cancelled; ask a store that is down again, in growing intervals."""
        metrics.OPEN_RANGES_LIMIT.set(OPEN_RANGES_MAX)
        failures = 0
        try:
            while True:
                consumer = kafka.consumer(self._settings, group=GROUP)
                try:
                    async with asyncio.timeout(KAFKA_DEADLINE_S):
                        await consumer.start()
                        cursors = await assigned_cursors(self._settings, consumer, TOPICS)
                    failures = 0
                    await self._rounds(consumer, cursors)
                except (KafkaError, TimeoutError) as error:
                    metrics.ERRORS.labels("kafka").inc()
                    log.warning("kafka_unreachable", error=type(error).__name__, reason=str(error))
                finally:
                    await consumer.stop()
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
        finally:
            for task in self._open_ranges:
                task.cancel()

    async def _rounds(self, consumer: AIOKafkaConsumer, cursors: Sequence[PartitionCursor]) -> None:
        """Repeat rounds until a topic has new partitions."""
        failures = 0
        while not has_new_partitions(consumer, cursors):
            try:
                async with asyncio.timeout(KAFKA_DEADLINE_S):
                    ends = await consumer.end_offsets([cursor.coordinates for cursor in cursors])
                for cursor in cursors:
                    cursor.see(ends[cursor.coordinates], monotonic())
                await self._round(consumer, cursors)
                await self._ask_idle_temporal()
            except (RPCError, RuntimeError) as error:  # RuntimeError: the first connect failed
                metrics.ERRORS.labels("temporal").inc()
                reason = error.status.name if isinstance(error, RPCError) else str(error)
                log.warning("temporal_unreachable", error=reason)
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._answered_at_s = monotonic()
            await self._pause()

    async def _ask_idle_temporal(self) -> None:
        """Ask Temporal whether it answers. The starts of ranges tell it while ranges are open."""
        if not self._open_ranges and monotonic() >= self._health_due_s:
            await self._client.service_client.check_health()
            self._health_due_s = monotonic() + HEALTH_EVERY_S

    async def _round(self, consumer: AIOKafkaConsumer, cursors: Sequence[PartitionCursor]) -> None:
        """Start the ranges that are due; commit the offsets of those that Temporal acknowledged."""
        settings = self._settings
        startable = OPEN_RANGES_MAX - len(self._open_ranges)
        wait_s = settings.range_wait_ms / 1000
        chosen = due(cursors, startable, settings.range_events_max, wait_s, monotonic())
        started = await asyncio.gather(
            *(self._start(consumer, cursor) for cursor in chosen), return_exceptions=True
        )
        acknowledged = {
            cursor.coordinates: cursor.position
            for cursor, failure in zip(chosen, started, strict=True)
            if failure is None
        }
        if acknowledged:
            async with asyncio.timeout(KAFKA_DEADLINE_S):
                await consumer.commit(acknowledged)
        for cursor in cursors:
            metrics.LAG.labels(cursor.topic, cursor.partition).set(cursor.lag)
        for failure in started:
            if failure is not None:
                raise failure

    async def _start(self, consumer: AIOKafkaConsumer, cursor: PartitionCursor) -> None:
        batch = cursor.closed
        if batch is None:
            return
        began_s = monotonic()
        handle = await start_range(self._client, consumer, batch)
        metrics.START_DURATION_S.observe(monotonic() - began_s)
        cursor.acknowledge(monotonic())
        metrics.RANGES.labels(batch.topic).inc()
        if handle is not None:
            task = asyncio.create_task(_wait_for(handle, batch))
            self._open_ranges.add(task)
            cursor.open_ranges += 1
            metrics.OPEN_RANGES.set(len(self._open_ranges))
            task.add_done_callback(partial(self._release, cursor))

    def _release(self, cursor: PartitionCursor, task: asyncio.Task[None]) -> None:
        self._open_ranges.discard(task)
        cursor.open_ranges -= 1
        metrics.OPEN_RANGES.set(len(self._open_ranges))

    async def _pause(self) -> None:
        """Wait for the next poll or, at the limit of open ranges, until one of them ends."""
        if len(self._open_ranges) < OPEN_RANGES_MAX:
            await asyncio.sleep(POLL_S)
        else:
            await asyncio.wait(self._open_ranges, return_when=asyncio.FIRST_COMPLETED, timeout=1.0)


async def _wait_for(handle: Handle[object, object], batch: OffsetRange) -> None:
    """Return when the range's workflow has ended, or after `RANGE_WAIT_S_MAX`."""
    try:
        async with asyncio.timeout(RANGE_WAIT_S_MAX):
            while True:
                try:
                    await handle.result(follow_runs=False)
                except RPCError:  # Temporal does not answer; the range still runs
                    await asyncio.sleep(1.0)
                    continue
                return
    except WorkflowContinuedAsNewError:
        # A worker of an older version runs the range: its rows are written, and its second run
        # starts the follow-ups.
        return
    except TimeoutError:
        log.warning("range_slow", workflow_id=handle.id)
    except WorkflowFailureError as error:
        metrics.WORKFLOW_FAILURES.labels(batch.topic).inc()
        cause = type(error.cause).__name__
        log.error("range_failed", workflow_id=handle.id, error=cause)  # noqa: TRY400 - no frames
