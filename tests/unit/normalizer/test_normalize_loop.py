"""The loop commits only records whose messages Kafka has acknowledged."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from prometheus_client import REGISTRY

from payment_pipeline.adapters.kafka import partition_of
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PAYMENT_EVENT
from payment_pipeline.domain.failures import BadRecord, FailureClass
from payment_pipeline.normalizer import batch_publisher, normalize_loop
from payment_pipeline.normalizer.normalize_loop import Normalizer
from support.pairs import CONTEXT
from support.stripe_bodies import body, example

PARTITION = TopicPartition("webhooks.stripe.charge", 0)
CHARGE = body("charge.succeeded", example("charge"))
INVALID = body("charge.succeeded", example("charge", amount="1"))


def records(*bodies: bytes, first_offset: int = 0) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(
            topic=PARTITION.topic,
            partition=PARTITION.partition,
            offset=first_offset + position,
            key=b"pi_1",
            value=value,
            headers=(("ce_id", b"evt_1"),),
            timestamp=1_750_000_000_000,
        )
        for position, value in enumerate(bodies)
    ]


@dataclass
class Source:
    """A consumer that returns these batches, then empty ones."""

    batches: deque[list[SimpleNamespace]]
    assigned: set[TopicPartition] = field(default_factory=lambda: {PARTITION})
    commit_error: KafkaError | None = None
    committed: list[int] = field(default_factory=list)
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    polls_without: int = 0

    def subscribe(self, topics: list[str], listener: Normalizer) -> None:
        assert PARTITION.topic in topics
        listener.on_partitions_assigned(self.assigned)

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def highwater(self, _: TopicPartition) -> int:
        return 10

    async def position(self, _: TopicPartition) -> int:
        return 4

    async def getmany(self, **_: int) -> Mapping[TopicPartition, Sequence[SimpleNamespace]]:
        if self.batches:
            return {PARTITION: self.batches.popleft()}
        self.polls_without += 1
        if self.polls_without > 1:  # the loop waits for the last batch before the second poll
            self.drained.set()
        await asyncio.sleep(0.001)
        return {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.commit_error:
            raise self.commit_error
        self.committed.append(offsets[PARTITION])


class Builder:
    """A batch of at most `RECORDS_MAX` records."""

    RECORDS_MAX = 3

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []

    def append(
        self, *, timestamp: None, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
    ) -> object:
        assert timestamp is None
        assert type(headers) is list  # aiokafka accepts only a list
        if len(self.records) == self.RECORDS_MAX:
            return None
        self.records.append((key, value))
        return object()


@dataclass
class Sink:
    """A producer that refuses batches, or answers them with errors, in the given order."""

    refuse: deque[KafkaError | None] = field(default_factory=deque)
    answer: deque[KafkaError | None] = field(default_factory=deque)
    hold: bool = False
    produced: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    held: list[asyncio.Future[None]] = field(default_factory=list)
    offered: asyncio.Event = field(default_factory=asyncio.Event)

    async def partitions_for(self, _: str) -> set[int]:
        return set(range(4))

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(
        self, builder: Builder, topic: str, *, partition: int
    ) -> asyncio.Future[None]:
        assert {partition_of(key, 4) for key, _ in builder.records} == {partition}
        if self.refuse and (error := self.refuse.popleft()):
            raise error
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.offered.set()
        error = self.answer.popleft() if self.answer else None
        if error:
            sent.set_exception(error)
            return sent
        self.produced += ((topic, key, value) for key, value in builder.records)
        if self.hold:
            self.held.append(sent)
        else:
            sent.set_result(None)
        return sent


async def run_until_drained(source: Source, sink: Sink) -> Normalizer:
    normalizer = Normalizer(source, sink, CONTEXT, batch_records_max=500)
    running = asyncio.ensure_future(normalizer.run())
    drained = asyncio.ensure_future(source.drained.wait())
    await asyncio.wait((running, drained), return_when=asyncio.FIRST_COMPLETED, timeout=5)
    drained.cancel()
    running.cancel()
    await asyncio.gather(running, drained, return_exceptions=True)
    return normalizer


def produced_topics(sink: Sink) -> list[str]:
    return [topic for topic, _, _ in sink.produced]


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_publisher, "RETRY_PAUSE_S", 0.001)
    monkeypatch.setattr(batch_publisher, "RETRY_PAUSE_S_MAX", 0.002)


async def test_a_batch_is_produced_with_its_keys_then_committed_and_counted() -> None:
    records_total, letters_total = (
        f"payments_normalizer_{each}_total" for each in ("records", "dead_letters")
    )
    before = count(records_total, outcome="normalized", kind="charge")
    failed = count(letters_total, failure="invalid")
    source = Source(deque([records(CHARGE, INVALID), records(b"{}", first_offset=2)]))
    sink = Sink()
    normalizer = await run_until_drained(source, sink)

    assert produced_topics(sink) == [
        topics.NORMALIZED,
        topics.DLQ_VALIDATION,
        topics.DLQ_VALIDATION,
    ]
    assert {key for _, key, _ in sink.produced} == {b"pi_1"}
    assert source.committed == [2, 3]
    assert normalizer.ready()
    assert count(records_total, outcome="normalized", kind="charge") == before + 1
    assert count(letters_total, failure="invalid") == failed + 1
    assert count("payments_normalizer_consumer_lag_records", topic=PARTITION.topic) == 6


async def test_a_batch_is_committed_only_after_its_last_acknowledgement() -> None:
    source, sink = Source(deque([records(CHARGE, INVALID)])), Sink(hold=True)
    running = asyncio.ensure_future(Normalizer(source, sink, CONTEXT, 500).run())
    await asyncio.wait_for(sink.offered.wait(), 5)
    sink.held[0].set_result(None)
    await asyncio.sleep(0.01)
    assert source.committed == []
    sink.held[1].set_result(None)
    await asyncio.wait_for(source.drained.wait(), 5)
    assert source.committed == [2]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Sink(refuse=deque([None, KafkaTimeoutError(), KafkaTimeoutError()])),
        lambda: Sink(refuse=deque([KafkaTimeoutError()])),
        lambda: Sink(answer=deque([None, UnknownTopicOrPartitionError(), KafkaTimeoutError()])),
    ],
    ids=["refused", "refused at once", "not acknowledged"],
)
async def test_only_messages_without_acknowledgement_are_sent_again(
    broken: Callable[[], Sink],
) -> None:
    source, sink = Source(deque([records(CHARGE, INVALID, b"[]")])), broken()
    await run_until_drained(source, sink)
    assert sorted(produced_topics(sink)) == sorted(
        [topics.NORMALIZED, topics.DLQ_VALIDATION, topics.DLQ_VALIDATION]
    )
    assert source.committed == [3]


async def test_the_process_ends_without_a_commit_when_kafka_never_acknowledges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_publisher, "PRODUCE_PATIENCE_S", 0.0)
    source = Source(deque([records(CHARGE)]))
    normalizer = Normalizer(source, Sink(answer=deque([KafkaTimeoutError()] * 9)), CONTEXT, 500)
    with pytest.raises(KafkaTimeoutError):
        await normalizer.run()
    assert source.committed == []
    assert not normalizer.ready()


async def test_a_message_too_large_for_kafka_becomes_a_dead_letter_and_stops_nothing() -> None:
    source = Source(deque([records(INVALID, CHARGE)]))
    sink = Sink(answer=deque([MessageSizeTooLargeError()]))
    await run_until_drained(source, sink)
    assert produced_topics(sink) == [topics.NORMALIZED, topics.DLQ_VALIDATION]
    letter = BadRecord.model_validate_json(sink.produced[1][2])
    assert (letter.failure, letter.body) == (FailureClass.UNPROCESSABLE, b"")
    assert source.committed == [2]


async def test_a_full_batch_is_followed_by_another_in_order() -> None:
    sent = [body("charge.succeeded", example("charge"), id=f"evt_{each}") for each in range(10)]
    source, sink = Source(deque([records(*sent)])), Sink()
    await run_until_drained(source, sink)
    assert [PAYMENT_EVENT.validate_json(value).event_id for _, _, value in sink.produced] == [
        f"evt_{each}" for each in range(10)
    ]
    assert source.committed == [10]


async def test_revoked_partitions_are_not_committed() -> None:
    source = Source(deque([records(CHARGE)]), assigned=set())
    sink = Sink()
    await run_until_drained(source, sink)
    assert len(sink.produced) == 1
    assert source.committed == []


async def test_the_loop_goes_on_after_a_refused_commit() -> None:
    source = Source(
        deque([records(CHARGE), records(CHARGE, first_offset=1)]), commit_error=CommitFailedError()
    )
    sink = Sink()
    await run_until_drained(source, sink)
    assert len(sink.produced) == 2


async def test_a_stop_waits_for_the_batch_that_is_being_produced() -> None:
    source, sink = Source(deque([records(CHARGE)])), Sink(hold=True)
    running = asyncio.ensure_future(Normalizer(source, sink, CONTEXT, 500).run())
    await asyncio.wait_for(sink.offered.wait(), 5)
    running.cancel()
    await asyncio.sleep(0.01)
    sink.held[0].set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert source.committed == [1]


async def test_a_stop_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalize_loop, "STOP_PATIENCE_S", 0.01)
    source, sink = Source(deque([records(CHARGE)])), Sink(hold=True)
    running = asyncio.ensure_future(Normalizer(source, sink, CONTEXT, 500).run())
    await asyncio.wait_for(sink.offered.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)
    assert source.committed == []


def test_a_member_is_ready_once_it_has_joined_even_without_partitions() -> None:
    spare = Normalizer(Source(deque()), Sink(), CONTEXT, 500)
    assert not spare.ready()
    nothing: Iterable[TopicPartition] = ()
    spare.on_partitions_assigned(nothing)
    assert spare.ready()
