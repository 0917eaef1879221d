"""Measures the normalizer's events per second against a loop that only copies the records.

Both read the same records from the same raw topics, each in its own group, with the same clients,
batch size and order (produce, wait for every acknowledgement, commit). The runs alternate. Each run
is compared with the copies right before and after it, because the machine's speed changes within
seconds; the median of these ratios counts.

It needs only Kafka. Other stages would share the processor, so `make bench ARGS=normalizer` runs it
without them.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import cycle, islice, pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from bench.figure import Figure
from payment_pipeline.adapters import kafka
from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.normalizer.normalize_loop import Normalizer
from payment_pipeline.providers import Context, providers
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import calm_collector

RECORDS: Final = 30_000
RUNS: Final = 9
"""Runs of each loop: on a shared machine two runs differ by up to a quarter."""
TARGET: Final = 0.5
COPIED: Final = "bench.copied"
# Roughly the traffic of a shop.
MIX: Final = (
    ("payment_intent.created", "payment_intent", "payment_intent"),
    ("charge.succeeded", "charge", "charge"),
    ("payment_intent.succeeded", "payment_intent", "payment_intent"),
    ("charge.updated", "charge", "charge"),
    ("invoice.paid", "invoice", "invoice"),
    ("customer.subscription.updated", "subscription", "subscription"),
    ("refund.created", "refund", "refund"),
    ("customer.updated", "customer", "customer"),
)
OBJECTS: Final = Path(__file__).parents[1] / "providers" / "stripe_objects.json"

Record = tuple[str, bytes, bytes, Sequence[tuple[str, bytes]]]
"""Topic, key, value and headers."""


def normalizer_figures(settings: Settings) -> list[Figure]:
    """Measure on a running Kafka, in about a minute."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        passed_on, copied = runner.run(_measure(settings))
    ratio = median(
        2 * rate / (before + after)
        for rate, (before, after) in zip(passed_on, pairwise(copied), strict=True)
    )
    return [
        Figure(
            name="normalizer",
            value=round(median(passed_on)),
            unit="events/s",
            reference="bare aiokafka consume-produce loop of the same records",
            reference_value=round(median(copied)),
            ratio=round(ratio, 3),
            target=TARGET,
            met=ratio >= TARGET,
        )
    ]


async def _measure(settings: Settings) -> tuple[list[float], list[float]]:
    """Return the events per second of each run: the normalizer's, and the copies around them."""
    records = list(islice(_records(), RECORDS))
    pipeline = {topics.raw("stripe", resource) for _, _, resource in MIX} | set(topics.PIPELINE)
    await kafka.ensure_topics(settings, [*pipeline, *_raw_topics(), COPIED])
    starts = await _ends(settings)
    await _produce(settings, records)
    calm_collector()  # as the process does; it speeds up the copying loop, too
    passed_on: list[float] = []
    copied = [await _rate(settings, starts, _copy)]
    for _ in range(RUNS):
        passed_on.append(await _rate(settings, starts, _normalize))
        copied.append(await _rate(settings, starts, _copy))
    return passed_on, copied


# --- the two loops ----------------------------------------------------------------------------


async def _normalize(
    source: AIOKafkaConsumer, sink: AIOKafkaProducer, batch_records_max: int
) -> None:
    context = Context(pseudonym_key=secrets.token_bytes(32), normalizer_version="bench")
    await Normalizer(source, sink, context, batch_records_max).run()


async def _copy(source: AIOKafkaConsumer, sink: AIOKafkaProducer, batch_records_max: int) -> None:
    source.subscribe(topics=_raw_topics())
    while True:
        found = await source.getmany(timeout_ms=500, max_records=batch_records_max)
        sent = [
            await sink.send(COPIED, record.value, record.key, headers=list(record.headers))
            for records in found.values()
            for record in records
        ]
        if sent:
            await asyncio.gather(*sent)
            ends = {partition: records[-1].offset + 1 for partition, records in found.items()}
            await source.commit(ends)


class Watched:
    """A consumer that notes when the first record was read and the last one committed."""

    def __init__(self, consumer: AIOKafkaConsumer, expected: int) -> None:
        self._consumer = consumer
        self._left = expected
        self.started_s = 0.0
        self.ended_s = 0.0
        self.done = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._consumer, name)

    async def getmany(self, **how: int) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        found: Mapping[TopicPartition, Sequence[ConsumerRecord]] = await self._consumer.getmany(
            **how
        )
        if found and not self.started_s:
            self.started_s = perf_counter()
        self._left -= sum(map(len, found.values()))
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._consumer.commit(offsets)
        self.ended_s = perf_counter()
        if self._left <= 0:
            self.done.set()


async def _rate(
    settings: Settings,
    starts: Mapping[TopicPartition, int],
    loop: Callable[[AIOKafkaConsumer, AIOKafkaProducer, int], Awaitable[None]],
) -> float:
    """Return the events per second from the first batch read to the last one committed."""
    group = f"bench-{secrets.token_hex(4)}"
    await _start_at(settings, group, starts)
    async with kafka.consumer(settings, group=group) as source, kafka.producer(settings) as sink:
        watched = Watched(source, RECORDS)
        running = asyncio.ensure_future(loop(watched, sink, settings.normalizer_batch_records_max))
        finished = asyncio.ensure_future(watched.done.wait())
        await asyncio.wait((running, finished), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.wait((running,))
    return RECORDS / (watched.ended_s - watched.started_s)


# --- records ----------------------------------------------------------------------------------


def _records() -> Iterator[Record]:
    objects = json.loads(OBJECTS.read_text())["resources"]
    received_at = datetime.now(UTC).isoformat(timespec="microseconds").encode()
    for number, (event_type, name, resource) in enumerate(cycle(MIX)):
        event_id = f"evt_1Bench{number:018d}"
        body = orjson.dumps(
            {
                "id": event_id,
                "object": "event",
                "api_version": "2024-06-20",
                "created": 1_700_000_000 + number,
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": f"req_{number}", "idempotency_key": None},
                "type": event_type,
                "data": {"object": objects[name]},
            }
        )
        headers = (
            (names.CE_SPECVERSION, b"1.0"),
            (names.CE_ID, event_id.encode()),
            (names.CE_TYPE, event_type.encode()),
            (names.CE_SOURCE, b"/webhooks/stripe"),
            (names.CE_TIME, b"2023-11-14T22:13:20Z"),
            (names.TRACEPARENT, b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            (names.BODY_SHA256, sha256(body).hexdigest().encode()),
            (names.RECEIVED_AT, received_at),
            (names.VERDICT, b"verified:stripe:9f2c1a"),
        )
        # Four events for each payment.
        yield topics.raw("stripe", resource), f"pi_{number // 4}".encode(), body, headers


def _raw_topics() -> list[str]:
    stripe = providers()["stripe"]
    return [topics.raw(stripe.name, resource) for resource in stripe.resources]


async def _produce(settings: Settings, records: Sequence[Record]) -> None:
    async with kafka.producer(settings) as sink:
        sent = [
            await sink.send(topic, value, key, headers=list(headers))
            for topic, key, value, headers in records
        ]
        await asyncio.gather(*sent)


async def _ends(settings: Settings) -> dict[TopicPartition, int]:
    """Return the current end of each raw partition; earlier records are not part of the run."""
    async with kafka.consumer(settings, *_raw_topics(), group=None) as source:
        partitions = [
            TopicPartition(topic, partition)
            for topic in _raw_topics()
            for partition in source.partitions_for_topic(topic) or ()
        ]
        ends: dict[TopicPartition, int] = await source.end_offsets(partitions)
        return ends


async def _start_at(settings: Settings, group: str, starts: Mapping[TopicPartition, int]) -> None:
    async with kafka.consumer(settings, group=group) as source:
        source.assign(list(starts))
        await source.commit(dict(starts))
