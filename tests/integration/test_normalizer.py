"""The normalizer on a real Kafka: every record is passed on at least once, and none stops it."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from payment_pipeline.adapters import kafka
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PAYMENT_EVENT
from payment_pipeline.domain.failures import BadRecord
from payment_pipeline.normalizer.normalize_loop import GROUP, Normalizer
from payment_pipeline.providers import topics as all_topics
from payment_pipeline.settings import Settings
from support import commands
from support.pairs import CONTEXT
from support.stripe_bodies import body, example

pytestmark = pytest.mark.stack

RAW = topics.raw("stripe", "charge")
ENDS = (topics.NORMALIZED, topics.DLQ_VALIDATION, topics.UNMODELLED)
PATIENCE_S = 60.0


class Sent(NamedTuple):
    event_id: str
    body: bytes
    key: bytes = b"pi_1"


def charge(run: str, number: int, **changes: object) -> Sent:
    event_id = f"evt_{run}_{number}"
    found = example("charge", **changes)
    return Sent(event_id, body("charge.succeeded", found, id=event_id), b"pi_%d" % (number % 7))


async def produce(settings: Settings, sent: Sequence[Sent]) -> None:
    async with kafka.producer(settings) as sink:
        waiting = [
            await sink.send(
                RAW,
                each.body,
                each.key,
                kafka.partition_of(each.key, settings.kafka_partitions),
                headers=[("ce_id", each.event_id.encode()), ("verdict", b"verified:test")],
            )
            for each in sent
        ]
        await asyncio.gather(*waiting)


@asynccontextmanager
async def watching(
    settings: Settings, *watched: str
) -> AsyncIterator[Callable[[Collection[str]], Any]]:
    """Yield a function that waits for event ids on the topics and returns all records so far."""
    async with kafka.consumer(settings, group=None) as source:
        partitions = _partitions(settings, watched)
        source.assign(partitions)
        await source.seek_to_end(*partitions)
        for partition in partitions:
            await source.position(partition)
        seen: list[Any] = []

        async def all_of(event_ids: Collection[str]) -> list[Any]:
            missing = set(event_ids) - {ce_id(record) for record in seen}
            async with asyncio.timeout(PATIENCE_S):
                while missing:
                    for records in (await source.getmany(timeout_ms=200)).values():
                        seen.extend(records)
                        missing -= {ce_id(record) for record in records}
            return seen

        yield all_of


def _partitions(settings: Settings, names: Sequence[str]) -> list[TopicPartition]:
    return [
        TopicPartition(name, each) for name in names for each in range(settings.kafka_partitions)
    ]


def ce_id(record: Any) -> str:  # noqa: ANN401 - aiokafka has no types
    found: bytes = dict(record.headers)["ce_id"]
    return found.decode()


@asynccontextmanager
async def member(settings: Settings, group: str) -> AsyncIterator[Normalizer]:
    """Run one normalizer in a group that starts at the current ends of the topics."""
    async with kafka.consumer(settings, group=group) as source:
        if not await _has_started(source):
            partitions = _partitions(settings, [RAW])
            source.assign(partitions)
            await source.commit(dict(await source.end_offsets(partitions)))
    async with kafka.consumer(settings, group=group) as source, kafka.producer(settings) as sink:
        normalizer = Normalizer(source, sink, CONTEXT, settings.normalizer_batch_records_max)
        running = asyncio.ensure_future(normalizer.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not normalizer.ready():
                    assert not running.done(), running.exception()
                    await asyncio.sleep(0.05)
            yield normalizer
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _has_started(source: AIOKafkaConsumer) -> bool:
    try:
        return await source.committed(TopicPartition(RAW, 0)) is not None
    except KafkaError:
        return False


async def test_every_record_reaches_its_topic_and_bad_records_stop_nothing(
    private_stores: Settings,
) -> None:
    run = token_hex(4)
    largest = example(
        "charge", amount="1", description="x" * (private_stores.body_bytes_max - 8192)
    )
    sent = [
        charge(run, 0),
        Sent(f"evt_{run}_json", b"{"),
        Sent(f"evt_{run}_nul", body("charge.succeeded", example("charge", description="\0"))),
        Sent(f"evt_{run}_deep", b"[" * 200_000),
        Sent(f"evt_{run}_large", body("charge.succeeded", largest)),
        charge(run, 1, currency="zzz"),
        Sent(f"evt_{run}_type", body("transfer.created", {"id": "tr_1"}, id=f"evt_{run}_type")),
        charge(run, 2),
    ]
    async with watching(private_stores, *ENDS) as all_of, member(private_stores, f"test-{run}"):
        await produce(private_stores, sent)
        found = [each for each in await all_of({e.event_id for e in sent}) if run in ce_id(each)]

    ended = {ce_id(each).removeprefix(f"evt_{run}_"): each for each in found}
    assert {name: each.topic for name, each in ended.items()} == {
        "0": topics.NORMALIZED,
        "json": topics.DLQ_VALIDATION,
        "nul": topics.DLQ_VALIDATION,
        "deep": topics.DLQ_VALIDATION,
        "large": topics.DLQ_VALIDATION,
        "1": topics.DLQ_VALIDATION,
        "type": topics.UNMODELLED,
        "2": topics.NORMALIZED,
    }
    failures = {
        name: BadRecord.model_validate_json(each.value).failure
        for name, each in ended.items()
        if each.topic == topics.DLQ_VALIDATION
    }
    assert failures == {
        "json": "unparseable",
        "nul": "unstorable_text",
        "deep": "unparseable",
        "large": "invalid",
        "1": "unknown_currency",
    }
    by_name = {each.event_id.removeprefix(f"evt_{run}_"): each for each in sent}
    assert BadRecord.model_validate_json(ended["large"].value).body == by_name["large"].body
    assert ended["type"].value == by_name["type"].body
    event = PAYMENT_EVENT.validate_json(ended["0"].value)
    assert (event.event_id, event.source.topic) == (by_name["0"].event_id, RAW)
    assert ended["0"].key == by_name["0"].key


async def test_no_record_is_lost_when_members_join_and_leave(
    private_stores: Settings,
) -> None:
    run, group = token_hex(4), f"test-{token_hex(4)}"
    sent = [charge(run, number) for number in range(3000)]
    async with watching(private_stores, topics.NORMALIZED) as all_of, member(private_stores, group):
        producing = asyncio.ensure_future(produce(private_stores, sent[:2000]))
        async with member(private_stores, group):
            await producing
            await produce(private_stores, sent[2000:2500])
        await produce(private_stores, sent[2500:])
        found = await all_of({each.event_id for each in sent})

    # One payment's events stay in order across owners of the partition; repeats change no order.
    for key in {each.key for each in sent}:
        arrived = [ce_id(each) for each in found if each.key == key and run in ce_id(each)]
        assert list(dict.fromkeys(arrived)) == [each.event_id for each in sent if each.key == key]


async def test_a_killed_process_loses_nothing_and_a_stopped_process_leaves_no_lag(
    fresh_stack: Callable[..., Settings],
) -> None:
    settings = fresh_stack("kafka")
    await kafka.ensure_topics(settings, all_topics())
    run = token_hex(4)
    sent = [charge(run, number) for number in range(4000)]

    async with watching(settings, topics.NORMALIZED) as all_of:
        await produce(settings, sent[:3000])
        async with process(settings):  # ends with kill -9
            await all_of({sent[100].event_id})
        await produce(settings, sent[3000:])
        async with process(settings) as second:
            await all_of({each.event_id for each in sent})
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), PATIENCE_S) == 0

    async with kafka.consumer(settings, group=GROUP) as source:
        partitions = _partitions(settings, [RAW])
        ends = await source.end_offsets(partitions)
        assert {
            partition: await source.committed(partition) or 0 for partition in partitions
        } == ends


@asynccontextmanager
async def process(settings: Settings, **environment: str) -> AsyncIterator[Process]:
    """Run the real process, and kill it at the end if it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "payment_pipeline.normalizer"),
        env={**commands.environment(settings), **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        _, said = await started.communicate()
        sys.stderr.write(said.decode())  # pytest shows it if the test fails


async def test_without_kafka_the_process_ends_with_one_sentence(
    fresh_stack: Callable[..., Settings],
) -> None:
    settings = fresh_stack("kafka")
    async with process(settings, PAYMENTS_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9") as alone:
        _, said = await asyncio.wait_for(alone.communicate(), PATIENCE_S)
        assert alone.returncode == 1
    last = said.decode().strip().splitlines()[-1]
    assert last == (
        "payments: Kafka does not answer at 127.0.0.1:9. Start it with `payments up`, or set "
        "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS."
    )
    logged = [line for line in said.decode().splitlines() if line.startswith("{")]
    assert all(json.loads(line)["level"] for line in logged)
