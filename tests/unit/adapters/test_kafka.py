"""Any record becomes a RawEvent; records are sent and read in order; the size limits fit."""

import asyncio
import random
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.adapters import kafka
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError, UserError
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.settings import Settings
from support.records import record

BODY = b'{"id":"evt_1"}'
WRITTEN_BY_THE_GATEWAY = (
    (names.CE_ID, b"evt_1"),
    (names.CE_SOURCE, b"/webhooks/stripe/acct_1"),
    (names.TRACEPARENT, b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    (names.BODY_SHA256, b"ab" * 32),
    (names.RECEIVED_AT, b"2026-01-02T03:04:05.678901+00:00"),
    (names.VERDICT, b"verified:stripe:9f2c1a00"),
)


def written(
    headers: tuple[tuple[str, bytes], ...] = WRITTEN_BY_THE_GATEWAY,
    topic: str = "webhooks.stripe.charge",
    value: bytes | None = BODY,
    *,
    partition: int = 2,
    offset: int = 7,
) -> "ConsumerRecord[bytes, bytes]":
    return record(topic, value, headers, partition=partition, offset=offset)


def test_a_record_of_the_gateway_is_read_back() -> None:
    raw = kafka.raw_event(written())
    assert raw.provider == "stripe"
    assert raw.coordinates == Coordinates(topic="webhooks.stripe.charge", partition=2, offset=7)
    assert (raw.body, raw.event_id, raw.body_sha256) == (BODY, "evt_1", "ab" * 32)
    assert raw.received_at == datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    assert raw.verdict == "verified:stripe:9f2c1a00"
    assert raw.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_record_of_another_program_is_read_as_unverified() -> None:
    raw = kafka.raw_event(written(headers=()))
    assert (raw.provider, raw.event_id, raw.verdict) == ("stripe", None, "unverified")
    assert raw.body_sha256 == sha256(BODY).hexdigest()
    assert raw.received_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_the_last_header_of_a_name_counts_even_if_it_is_empty() -> None:
    twice = (*WRITTEN_BY_THE_GATEWAY, (names.VERDICT, b""))
    assert kafka.raw_event(written(twice)).verdict == "unverified"


def test_a_dead_letter_names_its_provider() -> None:
    headers = ((names.CE_SOURCE, b"/webhooks/stripe"), (names.REASON, b"not_json"))
    assert kafka.raw_event(written(headers, topic="webhooks.dlq")).provider == "stripe"


header_values = st.binary() | st.sampled_from([b"2026-01-02T03:04:05", b"/", b"\xff"])


@given(
    st.dictionaries(st.sampled_from([name for name, _ in WRITTEN_BY_THE_GATEWAY]), header_values),
    st.none() | st.binary(),
)
def test_no_record_stops_the_reader(headers: dict[str, bytes], value: bytes | None) -> None:
    raw = kafka.raw_event(written(tuple(headers.items()), value=value))
    assert raw.received_at.tzinfo is not None
    assert raw.body == (value or b"")


@given(st.binary(min_size=1), st.integers(1, 64))
def test_a_key_keeps_its_partition(key: bytes, partitions: int) -> None:
    assert kafka.partition_of(key, partitions) == kafka.partition_of(key, partitions)
    assert 0 <= kafka.partition_of(key, partitions) < partitions


def test_keys_spread_evenly() -> None:
    keys = [f"pi_{number:024d}".encode() for number in range(4000)]
    counts = [sum(kafka.partition_of(key, 4) == each for key in keys) for each in range(4)]
    assert min(counts) > 800


@pytest.mark.parametrize("body_bytes_max", [1024, 1_048_576, 1_048_577])
def test_a_dead_letter_of_the_largest_body_fits_a_record(body_bytes_max: int) -> None:
    settings = Settings(body_bytes_max=body_bytes_max)
    body = random.Random(1).randbytes(body_bytes_max)
    dead_letter = BadRecord(
        failure=FailureClass.INVALID,
        errors=tuple(FieldError(path="x" * 200, message="y" * 200) for _ in range(100)),
        component="normalizer",
        component_version="1",
        provider="stripe",
        event_id="e" * 255,
        provider_event_type="t" * 255,
        source=Coordinates(topic="webhooks.stripe.charge", partition=0, offset=0),
        body=body,
        body_sha256="0" * 64,
        received_at=datetime.now(UTC),
        verdict="verified:stripe:9f2c1a00",
        rejected_at=datetime.now(UTC),
    )
    assert len(dead_letter.model_dump_json()) < kafka.record_bytes_max(settings)


class Log:
    """A consumer of partitions that have records at the given offsets."""

    def __init__(self, offsets: dict[int, list[int]], end: int) -> None:
        self.offsets = offsets
        self.end = end
        self.resumed: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, int] = {}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    def resume(self, *places: TopicPartition) -> None:
        self.resumed.update(places)

    def pause(self, *places: TopicPartition) -> None:
        self.resumed.difference_update(places)

    async def position(self, place: TopicPartition) -> int:
        return self.positions[place]

    async def getmany(
        self, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, "list[ConsumerRecord[bytes, bytes]]"]:
        del timeout_ms
        found = {}
        for place in sorted(self.resumed):
            rest = [at for at in self.offsets[place.partition] if at >= self.positions[place]]
            taken = rest[:max_records]
            # After the last record there may be offsets without a record.
            self.positions[place] = taken[-1] + 1 if taken else self.end
            found[place] = [written(partition=place.partition, offset=at) for at in taken]
        return {place: records for place, records in found.items() if records}


def places(*partitions: int) -> list[TopicPartition]:
    return [TopicPartition("webhooks.stripe.charge", partition) for partition in partitions]


async def offsets(log: Log, positions: kafka.Offsets, ends: kafka.Offsets) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    async for records in kafka.read_up_to(log, positions, ends, records_max=2):
        assert len(records) <= 2
        for each in records:
            found.setdefault(each.partition, []).append(each.offset)
    return found


async def test_each_partition_is_read_from_its_position_up_to_its_end() -> None:
    log = Log({0: [0, 1, 2, 3, 4], 1: [0, 4, 5, 9], 2: [0, 1]}, end=12)
    first, second, third = places(0, 1, 2)
    positions = {first: 1, second: 1, third: 2}
    assert await offsets(log, positions, {first: 4, second: 7, third: 2}) == {
        0: [1, 2, 3],
        1: [4, 5],
    }
    assert positions == {first: 4, second: 7, third: 2}
    assert not log.resumed, "otherwise the consumer fetches past the end"
    assert await offsets(log, positions, {first: 5, second: 12, third: 2}) == {0: [4], 1: [9]}
    assert await offsets(log, positions, {first: 5, second: 12, third: 2}) == {}


async def test_a_broker_that_returns_no_records_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka, "STALL_S", 0.0)
    log = Log({0: []}, end=0)
    with pytest.raises(UserError, match=r"Kafka returns no records of webhooks\.stripe\.charge"):
        await offsets(log, dict.fromkeys(places(0), 0), dict.fromkeys(places(0), 5))


class Broker:
    """A producer for two partitions that acknowledges the last record first."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.acknowledges = acknowledges
        self.taken: list[tuple[bytes | None, bytes, int]] = []
        self._due: list[tuple[asyncio.Future[RecordMetadata], RecordMetadata]] = []

    async def partitions_for(self, topic: str) -> set[int]:
        del topic
        return {0, 1}

    async def send(
        self, topic: str, value: bytes, key: bytes | None, partition: int, headers: list[object]
    ) -> "asyncio.Future[RecordMetadata]":
        assert type(headers) is list, "aiokafka accepts only a list"
        offset = sum(partition == each for _, _, each in self.taken)
        self.taken.append((key, value, partition))
        place = TopicPartition(topic, partition)
        future = asyncio.get_running_loop().create_future()
        self._due.append((future, RecordMetadata(*place, place, offset, 0, 0, 0)))
        if self.acknowledges:
            asyncio.get_running_loop().call_soon(self._acknowledge)
        return future

    def _acknowledge(self) -> None:
        future, metadata = self._due.pop()
        future.set_result(metadata)


def outgoing(*values: bytes) -> list[kafka.Outgoing]:
    return [kafka.Outgoing("t", b"pi_%b" % value, value, (("ce_id", value),)) for value in values]


async def test_records_are_sent_in_order_and_their_coordinates_are_returned() -> None:
    broker, values = Broker(), [b"%d" % number for number in range(20)]
    places = await kafka.send_all(broker, outgoing(*values))
    assert [value for _, value, _ in broker.taken] == values
    for key, value, partition in broker.taken:
        assert partition == kafka.partition_of(key or b"", 2)
        earlier = [each for each in broker.taken[: values.index(value)] if each[2] == partition]
        at = Coordinates(topic="t", partition=partition, offset=len(earlier))
        assert places[values.index(value)] == at
    assert await kafka.send_all(broker, []) == []


async def test_a_missing_acknowledgement_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "ACKNOWLEDGED_S_MAX", 0.01)
    with pytest.raises(UserError, match="Kafka did not acknowledge within"):
        await kafka.send_all(Broker(acknowledges=False), outgoing(b"1"))


async def test_a_broker_that_does_not_answer_is_named_in_the_error() -> None:
    nowhere = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    with pytest.raises(
        UserError, match=r"^Kafka does not answer at 127\.0\.0\.1:1 \(Kafka\w+\)\. "
    ) as refused:
        async with kafka.reader(nowhere):
            pass
    assert refused.value.exit_code == 2
