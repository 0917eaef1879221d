"""Measures events per second from a backlog to bronze, against one workflow per event.

It uses Kafka, Temporal, inference and PostgreSQL of a whole stack that is up and idle. The backlog
is the simulator's traffic, normalized here; the dispatcher is stopped until all of it is produced.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import asyncpg
import uvloop
from aiokafka import TopicPartition

from bench.figure import Figure
from local_stack import supervisor
from payment_pipeline.adapters import kafka, temporal
from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PAYMENT_EVENT, EventBase
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.orchestrator.messages import TASK_QUEUE, OffsetRange
from payment_pipeline.providers import Context, Envelope, providers
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.traffic import Period, events

BACKLOG_EVENTS: Final = 50_000
BACKLOG_TARGET: Final = 4000
"""Events/s."""
SINGLE_EVENTS: Final = 300
SINGLE_OPEN: Final = 20
"""Workflows of one event that are open at a time; more of them were not faster."""
RATIO_TARGET: Final = 100
PATIENCE_S: Final = 300.0
POLL_S: Final = 0.2
"""Counting the rows costs PostgreSQL some milliseconds that the load needs."""

Record = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value and headers of a record of `payments.normalized`."""


def orchestrator_figures(settings: Settings) -> list[Figure]:
    """Measure on a whole stack that is up and idle, in about a minute."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        backlog, single = runner.run(_measure(settings))
    return [
        Figure(
            name="orchestrator, from a backlog of 50,000",
            value=round(backlog),
            unit="events/s",
            reference="target",
            reference_value=BACKLOG_TARGET,
            ratio=round(backlog / BACKLOG_TARGET, 2),
            target=1,
            met=backlog >= BACKLOG_TARGET,
        ),
        Figure(
            name="orchestrator, ranges of up to 1,000",
            value=round(backlog),
            unit="events/s",
            reference="one workflow per event, the same activities",
            reference_value=round(single, 1),
            ratio=round(backlog / single, 1),
            target=RATIO_TARGET,
            met=backlog / single >= RATIO_TARGET,
        ),
    ]


async def _measure(settings: Settings) -> tuple[float, float]:
    records = list(islice(_records(secrets.randbits(32)), BACKLOG_EVENTS + SINGLE_EVENTS))
    single = await _one_by_one(settings, records[:SINGLE_EVENTS])
    return await _backlog(settings, records[SINGLE_EVENTS:]), single


async def _backlog(settings: Settings, records: Sequence[Record]) -> float:
    """Return the events per second from the dispatcher's continuation to the last row."""
    async with _dispatcher_held(settings), _bronze(settings) as pool:
        before = await _rows(pool)
        await _produce(settings, records)
        began = time.perf_counter()
        supervisor.call(settings, "signalProcess", "dispatcher", "CONT")
        async with asyncio.timeout(PATIENCE_S):
            while await _rows(pool) < before + len(records):
                await asyncio.sleep(POLL_S)
        return len(records) / (time.perf_counter() - began)


async def _one_by_one(settings: Settings, records: Sequence[Record]) -> float:
    """Return the events per second with one workflow for each event, without the dispatcher."""
    client = await temporal.connect(settings)
    open_at_a_time = asyncio.Semaphore(SINGLE_OPEN)

    async def run(partition: TopicPartition, offset: int) -> None:
        one = OffsetRange(partition.topic, partition.partition, offset, offset + 1)
        async with open_at_a_time:
            await client.execute_workflow(
                "IngestRange", one, id=f"bench/{one.workflow_id}", task_queue=TASK_QUEUE
            )

    async with _dispatcher_held(settings):
        produced = await _produce(settings, records)
        began = time.perf_counter()
        await asyncio.gather(*(run(partition, offset) for partition, offset in produced))
        return len(records) / (time.perf_counter() - began)


@asynccontextmanager
async def _dispatcher_held(settings: Settings) -> AsyncIterator[None]:
    supervisor.call(settings, "signalProcess", "dispatcher", "STOP")
    try:
        yield
    finally:
        supervisor.call(settings, "signalProcess", "dispatcher", "CONT")


@asynccontextmanager
async def _bronze(settings: Settings) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(settings.dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def _rows(connection: Any) -> int:  # noqa: ANN401 - asyncpg has no types
    """Return the number of rows in bronze."""
    return int(await connection.fetchval("SELECT count(*) FROM payment_events"))


async def _produce(
    settings: Settings, records: Sequence[Record]
) -> list[tuple[TopicPartition, int]]:
    """Produce the records; return the partition and offset of each."""
    async with kafka.producer(settings) as producer:
        sent = [
            await producer.send(topics.NORMALIZED, value, key, headers=found)
            for key, value, found in records
        ]
        return [
            (TopicPartition(topics.NORMALIZED, each.partition), each.offset)
            for each in await asyncio.gather(*sent)
        ]


def _records(seed: int) -> Iterator[Record]:
    """Yield the simulator's traffic, normalized; events that no model covers are left out."""
    stripe, context = providers()["stripe"], Context(b"bench", "bench")
    for number, event in enumerate(
        events(seed, 2 * (BACKLOG_EVENTS + SINGLE_EVENTS), Period(datetime.now(UTC)))
    ):
        envelope = stripe.read(event.body)
        if not isinstance(envelope, Envelope):
            continue
        digest = sha256(event.body).hexdigest()
        topic = topics.raw("stripe", envelope.resource)
        raw = RawEvent(
            provider="stripe",
            coordinates=Coordinates(topic=topic, partition=0, offset=number),
            body=event.body,
            event_id=envelope.event_id,
            body_sha256=digest,
            received_at=datetime.now(UTC),
            verdict="verified:stripe:bench",
            traceparent=None,
        )
        normalized = stripe.normalize(raw, context)
        if isinstance(normalized, EventBase):
            value = PAYMENT_EVENT.dump_json(normalized, exclude_none=True)
            found = [(names.CE_ID, event.event_id.encode()), (names.CE_SOURCE, b"/webhooks/stripe")]
            yield envelope.key.encode(), value, found
