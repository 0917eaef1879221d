"""How do the topics' records become workflows? By ranges of offsets, each started exactly once.

Run it: `python -m payment_pipeline.orchestrator.dispatcher`. It never fetches a record: it asks
Kafka where the partitions end, closes ranges, starts a workflow for each, and commits the offsets
once Temporal has acknowledged the start. Two of them at once would do the work twice and no harm.
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
"""How often Kafka is asked where the partitions end."""
OPEN_RANGES_MAX: Final = 6
"""Ranges under way at a time. More of them only wait for each other at the worker."""
RANGE_HELD_S: Final = 60.0
"""A range that is not done by then gives its place away: it waits for a store that is down, and
its place is what keeps the others from being tried."""
KAFKA_DEADLINE_S: Final = 10.0
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
READY_WITHIN_S: Final = 15.0
"""Ready means: Kafka and Temporal answered within this time."""

log = structlog.get_logger()


class Dispatcher:
    """Lanes, one a partition; places, one a range under way."""

    def __init__(self, settings: Settings, client: Client) -> None:
        """`client` may be a lazy one: Temporal may come up later."""
        self._settings = settings
        self._client = client
        self._under_way: set[asyncio.Task[None]] = set()
        self._answered_at_s = -READY_WITHIN_S

    def ready(self) -> bool:
        """Whether Kafka and Temporal answer."""
        return monotonic() - self._answered_at_s < READY_WITHIN_S

    async def run(self) -> None:
        """Dispatch for ever; what doesn't answer is asked again, ever more slowly."""
        metrics.OPEN_RANGES_LIMIT.set(OPEN_RANGES_MAX)
        failures = 0
        try:
            while True:
                consumer = kafka.consumer(self._settings, group=GROUP)
                try:
                    async with asyncio.timeout(KAFKA_DEADLINE_S):
                        await consumer.start()
                        found = await assigned_cursors(self._settings, consumer, TOPICS)
                    failures = 0
                    await self._rounds(consumer, found)
                except (KafkaError, TimeoutError) as error:
                    metrics.ERRORS.labels("kafka").inc()
                    log.warning("kafka_unreachable", error=type(error).__name__, reason=str(error))
                finally:
                    await consumer.stop()
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
        finally:
            for task in self._under_way:
                task.cancel()

    async def _rounds(self, consumer: AIOKafkaConsumer, known: Sequence[PartitionCursor]) -> None:
        """Round after round, until the topics have got more partitions."""
        failures = 0
        while not has_new_partitions(consumer, known):
            try:
                async with asyncio.timeout(KAFKA_DEADLINE_S):
                    ends = await consumer.end_offsets([cursor.coordinates for cursor in known])
                for cursor in known:
                    cursor.see(ends[cursor.coordinates], monotonic())
                await self._round(consumer, known)
                if not self._under_way:
                    await self._client.service_client.check_health()
            except (RPCError, RuntimeError) as error:  # the latter of a first connect that failed
                metrics.ERRORS.labels("temporal").inc()
                reason = error.status.name if isinstance(error, RPCError) else str(error)
                log.warning("temporal_unreachable", error=reason)
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._answered_at_s = monotonic()
            await self._pause()

    async def _round(self, consumer: AIOKafkaConsumer, known: Sequence[PartitionCursor]) -> None:
        """Start what is due, each in its own place; commit what Temporal has acknowledged."""
        settings = self._settings
        places = OPEN_RANGES_MAX - len(self._under_way)
        wait_s = settings.range_wait_ms / 1000
        chosen = due(known, places, settings.range_events_max, wait_s, monotonic())
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
        for cursor in known:
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
            task = asyncio.create_task(_hold(handle, batch))
            self._under_way.add(task)
            cursor.under_way += 1
            metrics.OPEN_RANGES.set(len(self._under_way))
            task.add_done_callback(partial(self._release, cursor))

    def _release(self, cursor: PartitionCursor, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        cursor.under_way -= 1
        metrics.OPEN_RANGES.set(len(self._under_way))

    async def _pause(self) -> None:
        """Until the poll is due, or where all places are taken, until there is one."""
        if len(self._under_way) < OPEN_RANGES_MAX:
            await asyncio.sleep(POLL_S)
        else:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED, timeout=1.0)


async def _hold(handle: Handle[object, object], batch: OffsetRange) -> None:
    """Return when the range's workflow has ended, or when it has had its place for long enough."""
    try:
        async with asyncio.timeout(RANGE_HELD_S):
            while True:
                try:
                    await handle.result(follow_runs=False)
                except RPCError:  # Temporal is away: the range is not
                    await asyncio.sleep(1.0)
                    continue
                return
    except WorkflowContinuedAsNewError:
        return  # a worker of before has it: its rows are safe, what they lead to comes now
    except TimeoutError:
        log.warning("range_slow", workflow_id=handle.id)
    except WorkflowFailureError as error:
        metrics.WORKFLOW_FAILURES.labels(batch.topic).inc()
        cause = type(error.cause).__name__
        log.error("range_failed", workflow_id=handle.id, error=cause)  # noqa: TRY400 - no frames
