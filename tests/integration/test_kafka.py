"""A range of offsets is read completely, or reported as expired or stalled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
import uvloop
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.conn import AIOKafkaConnection

from payment_pipeline.adapters import kafka, kafka_ranges, kafka_security, topic_configs
from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader, RangeStalledError
from payment_pipeline.settings import Settings

pytestmark = pytest.mark.stack


@dataclass
class Log:
    """A topic of the test's own, with one partition of interest."""

    settings: Settings
    topic: str
    reader: RangeReader

    async def write(self, values: list[bytes]) -> None:
        async with kafka.producer(self.settings) as producer:
            for value in values:
                await producer.send_and_wait(self.topic, value, partition=0)

    async def commit(self, value: bytes) -> None:
        """Write in a transaction, whose end takes an offset that no record has."""
        producer = AIOKafkaProducer(
            **kafka_security.options(self.settings), transactional_id=uuid4().hex
        )
        async with producer, producer.transaction():
            await producer.send_and_wait(self.topic, value, partition=0)

    async def read(self, start: int, end: int) -> list[bytes | None]:
        found = await self.reader.read(self.topic, 0, start, end)
        return [record.value for record in found]

    async def end(self) -> int:
        place = TopicPartition(self.topic, 0)
        async with kafka.consumer(self.settings, self.topic, group=None) as consumer:
            return int((await consumer.end_offsets([place]))[place])


@pytest.fixture
async def log(stores: Settings) -> AsyncIterator[Log]:
    topic = f"test.{uuid4().hex}"
    assert await kafka.ensure_topics(stores, [topic]) == (topic,)
    assert await kafka.ensure_topics(stores, [topic]) == (), "a second time changes nothing"
    reader = RangeReader(stores, readers_max=1)
    yield Log(stores, topic, reader)
    await reader.close()


async def test_a_range_holds_its_start_and_not_its_end(log: Log) -> None:
    await log.write([b"%d" % number for number in range(50)])
    assert await log.read(0, 50) == [b"%d" % number for number in range(50)]
    assert await log.read(10, 13) == [b"10", b"11", b"12"]
    assert await log.read(13, 14) == [b"13"]
    assert await log.read(10, 13) == [b"10", b"11", b"12"], "back again over the same consumer"
    assert await log.read(7, 7) == []


async def test_gaps_are_stepped_over(log: Log) -> None:
    if log.settings.secure:
        pytest.skip("the broker of a secure stack serves no transactions: docs/decisions/0100")
    for number in range(5):
        await log.commit(b"%d" % number)
    async with asyncio.timeout(30):
        while await log.end() < 10:
            await asyncio.sleep(0.05)
    whole = await log.reader.read(log.topic, 0, 0, 10)
    assert [record.value for record in whole] == [b"0", b"1", b"2", b"3", b"4"]
    for start in range(10):
        for end in range(start, 11):
            within = [record.value for record in whole if start <= record.offset < end]
            assert await log.read(start, end) == within, (start, end)


async def test_a_range_larger_than_one_fetch_is_read_whole(log: Log) -> None:
    large = [bytes([number]) * 1_000_000 for number in range(12)]
    assert sum(map(len, large)) > kafka.FETCH_BYTES_MAX
    await log.write(large)
    assert await log.read(0, 12) == large


async def test_a_range_that_retention_has_taken_is_said_to_be_gone(log: Log) -> None:
    await log.write([b"%d" % number for number in range(10)])
    admin = kafka.admin_client(log.settings)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(log.topic, 0): RecordsToDelete(5)})
    finally:
        await admin.close()
    with pytest.raises(RangeExpiredError, match="/0/2-8"):
        await log.read(2, 8)
    assert await log.read(5, 8) == [b"5", b"6", b"7"], "the reader goes on"


async def test_the_largest_record_fits_its_topic(log: Log) -> None:
    largest = b"x" * (kafka.record_bytes_max(log.settings) - 1024)
    await log.write([largest])
    assert await log.read(0, 1) == [largest]


async def test_a_topic_that_exists_is_raised_to_the_settings_and_never_lowered(
    log: Log,
) -> None:
    hour_ms = 3_600_000

    async def held() -> dict[str, str]:
        admin = kafka.admin_client(log.settings)
        await admin.start()
        found = await topic_configs.read(admin, [log.topic])
        await admin.close()
        return found[log.topic]

    before = await held()
    longer = log.settings.kafka_retention_ms + hour_ms
    wanted = log.settings.model_copy(update={"kafka_retention_ms": longer})
    assert await kafka.ensure_topics(wanted, [log.topic]) == (f"{log.topic} retention.ms={longer}",)
    assert await held() == {**before, "retention.ms": str(longer)}
    assert await kafka.ensure_topics(log.settings, [log.topic]) == ()
    assert await held() == {**before, "retention.ms": str(longer)}


def test_a_client_outlives_a_connection_that_breaks_as_it_writes(stores: Settings) -> None:
    """As when the broker is killed: uvloop closes the transport before its reader hears of it."""

    async def breaks_once() -> bool:
        async with kafka.consumer(stores, group=None) as consumer:
            client = consumer._client
            connections: list[AIOKafkaConnection] = []
            connect = client._get_conn

            async def connect_and_break(*place: object) -> AIOKafkaConnection:
                connection = await connect(*place)
                if not connections:
                    connection._writer.transport.abort()
                    await asyncio.sleep(0)  # now it is closed, and in a turn its reader will know
                connections.append(connection)
                return connection

            client._get_conn = connect_and_break
            while not await client.force_metadata_update():
                pass
            return len(connections) > 1 and bool(await consumer.topics())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(asyncio.wait_for(breaks_once(), 10))


async def test_a_reader_that_stalled_is_not_used_again(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.write([b"1"])
    monkeypatch.setattr(kafka_ranges, "STALL_S", 0.2)
    with pytest.raises(RangeStalledError, match="stays at 1, before 2"):
        await log.read(0, 2)
    assert log.reader._idle == []
    assert await log.read(0, 1) == [b"1"]
