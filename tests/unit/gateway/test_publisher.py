"""Unacknowledged records are limited, and a broken producer is replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka.errors import KafkaConnectionError, OutOfOrderSequenceNumber

from payment_pipeline.adapters import kafka
from payment_pipeline.gateway import publisher as module
from payment_pipeline.gateway.publisher import (
    DeadlineError,
    NoBrokerError,
    OverloadedError,
    Publisher,
)
from payment_pipeline.settings import Settings

SETTINGS = Settings(gateway_deadline_s=0.05, gateway_in_flight_max=3, gateway_bytes_max=1024)


class FakeProducer:
    """Acknowledges nothing by itself."""

    made: list["FakeProducer"]
    unreachable = 0

    def __init__(self) -> None:
        self.sent: list[asyncio.Future[object]] = []
        self.partitions: list[int | None] = []
        self.stopped = asyncio.Event()
        self.blocked = False
        FakeProducer.made.append(self)

    async def start(self) -> None:
        if FakeProducer.unreachable:
            FakeProducer.unreachable -= 1
            raise KafkaConnectionError

    async def stop(self) -> None:
        self.stopped.set()

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0, 1, 2, 3}

    async def send(
        self, _topic: str, _body: bytes, _key: bytes, partition: int | None, *, headers: object
    ) -> asyncio.Future[object]:
        assert isinstance(headers, list), "aiokafka takes no tuple"
        if self.blocked:
            await asyncio.Event().wait()
        self.partitions.append(partition)
        self.sent.append(asyncio.get_running_loop().create_future())
        return self.sent[-1]


@pytest.fixture
async def publisher(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publisher]:
    FakeProducer.made = []
    FakeProducer.unreachable = 0
    monkeypatch.setattr(kafka, "producer", lambda _settings: FakeProducer())
    monkeypatch.setattr(module, "RECONNECT_S", 0.01)
    async with Publisher(SETTINGS) as found:
        await until(lambda: found._line is not None)
        yield found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def publish(publisher: Publisher, body: bytes = b"body") -> None:
    await publisher.publish("webhooks.stripe.charge", b"pi_1", body, (("ce_id", b"evt_1"),))


async def test_it_returns_when_kafka_has_it_and_not_before(publisher: Publisher) -> None:
    sending = asyncio.create_task(publish(publisher))
    producer = FakeProducer.made[0]
    await until(lambda: len(producer.sent) == 1)
    assert not sending.done()
    assert (publisher.unacknowledged, publisher.unacknowledged_bytes) == (1, 4)
    producer.sent[0].set_result("there")
    await sending
    assert (publisher.unacknowledged, publisher.unacknowledged_bytes) == (0, 0)
    assert producer.partitions == [kafka.partition_of(b"pi_1", 4)]


async def test_past_the_deadline_it_gives_up_and_still_counts_the_record(
    publisher: Publisher,
) -> None:
    with pytest.raises(DeadlineError):
        await publish(publisher)
    assert publisher.unacknowledged == 1, "it is in the producer's memory"
    FakeProducer.made[0].sent[0].set_result("late")
    await until(lambda: publisher.unacknowledged == 0)


async def test_what_never_got_into_the_producer_is_not_counted(publisher: Publisher) -> None:
    FakeProducer.made[0].blocked = True
    with pytest.raises(DeadlineError):
        await publish(publisher)
    assert (publisher.unacknowledged, publisher.unacknowledged_bytes) == (0, 0)


async def test_past_the_bound_of_records_nothing_is_taken(publisher: Publisher) -> None:
    await asyncio.gather(*(publish(publisher) for _ in range(3)), return_exceptions=True)
    assert not publisher.has_room()
    with pytest.raises(OverloadedError):
        await publish(publisher)
    assert len(FakeProducer.made[0].sent) == 3


async def test_past_the_bound_of_bytes_nothing_is_taken(publisher: Publisher) -> None:
    with pytest.raises(DeadlineError):
        await publish(publisher, b"x" * 1024)
    with pytest.raises(OverloadedError):
        await publish(publisher)


async def test_a_delivery_that_failed_for_good_replaces_the_producer(publisher: Publisher) -> None:
    sending = asyncio.create_task(publish(publisher))
    broken = FakeProducer.made[0]
    await until(lambda: len(broken.sent) == 1)
    broken.sent[0].set_exception(OutOfOrderSequenceNumber())
    with pytest.raises(NoBrokerError):
        await sending
    await asyncio.wait_for(broken.stopped.wait(), 5)
    await until(lambda: publisher._line is not None)
    again = asyncio.create_task(publish(publisher))
    await until(lambda: len(FakeProducer.made[-1].sent) == 1)
    FakeProducer.made[-1].sent[0].set_result("there")
    await again


async def test_a_late_failure_replaces_the_producer_too(publisher: Publisher) -> None:
    with pytest.raises(DeadlineError):
        await publish(publisher)
    FakeProducer.made[0].sent[0].set_exception(OutOfOrderSequenceNumber())
    await asyncio.wait_for(FakeProducer.made[0].stopped.wait(), 5)


async def test_a_broker_that_is_away_at_the_start_is_tried_again(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeProducer, "unreachable", 2)
    async with Publisher(SETTINGS) as another:
        with pytest.raises(NoBrokerError):
            await publish(another)
        await until(lambda: another._line is not None)
    assert publisher.has_room()


async def test_a_stop_flushes_the_producer(publisher: Publisher) -> None:
    await publisher.__aexit__()
    assert FakeProducer.made[0].stopped.is_set()
