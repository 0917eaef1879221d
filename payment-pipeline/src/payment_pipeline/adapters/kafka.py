"""How the pipeline talks to Kafka: producer, consumers, topics, and a record's headers.

Delivery is at least once with idempotent sinks, not Kafka transactions: aiokafka speaks version 0
of the transactional offset commit, without fencing by group generation.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from time import monotonic
from typing import Any, Final, NamedTuple, TypeAlias
from zlib import crc32

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from payment_pipeline.adapters import kafka_connection, topic_configs
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.headers import Headers
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.settings import Settings

BATCH_BYTES_MAX: Final = 262_144
"""A producer's batch. aiokafka's default of 16 KiB holds ten webhooks: measured 4,480 a second with
a p99 of 1.24 s at the gateway, against 6,490 and 30 ms with this one."""

ENVELOPE_BYTES_MAX: Final = 262_144
"""Room in a record beside the body: key, headers, and a dead letter's errors."""

FETCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""What one fetch of one partition may bring: a whole range of usual webhooks at once."""

BATCHES: Final = {"fetch_min_bytes": 256 * 1024, "fetch_max_wait_ms": 100}
"""Some eighty webhooks, or what has come after a tenth of a second."""

SESSION_TIMEOUT_MS: Final = 6_000
"""How long a killed member's partitions stand still, unless it comes back under its name: the least
that a broker allows by default."""

METADATA_MS_MAX: Final = 10_000
"""How long a consumer may overlook a partition that is new, or had no leader when it looked: five
minutes by default."""

TOPICS_SHOWN_S_MAX: Final = 30
"""A broker shows a new topic some milliseconds after it has acknowledged it."""

SEGMENT_MS: Final = 24 * 3600 * 1000
"""What is deleted leaves the disk with its segment. Kafka's own is a week, which on a quiet topic
would double the retention."""

STALL_S: Final = 30.0
"""What brings nothing for so long, though it holds more, is a fault of the broker's."""

ACKNOWLEDGED_S_MAX: Final = 60.0
"""How long a broker that is well may take for a few hundred records, at the very most."""

POLL_MS: Final = 200
POLL_RECORDS_MAX: Final = 5_000

Offsets: TypeAlias = dict[TopicPartition, int]

kafka_connection.install()


def record_bytes_max(settings: Settings) -> int:
    """The largest record of any topic: a dead letter carries the largest body as base64."""
    return -(-settings.body_bytes_max * 4 // 3) + ENVELOPE_BYTES_MAX


def producer(settings: Settings) -> AIOKafkaProducer:
    """A producer that acknowledges nothing before every in-sync replica has it; not yet started.

    With the broker away its `send_and_wait` retries without an end: bound the wait and the number
    of unacknowledged sends yourself. Cancelling a sent record's future doesn't take it back.
    """
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES_MAX,
        max_request_size=record_bytes_max(settings),
    )


def consumer(
    settings: Settings,
    *topics: str,
    group: str | None,
    member: str | None = None,
    in_batches: bool = False,
) -> AIOKafkaConsumer:
    """A consumer from the earliest record on, which commits only what its owner commits.

    Args:
        settings: whose broker, and how large a record may be.
        topics: what to subscribe to; none if the owner assigns or subscribes itself.
        group: whose offsets it commits; of none it commits nothing.
        member: a name that is the process's own and the same after its restart, by which the broker
            gives it its partitions back at once (static membership, KIP-345). Without it they stand
            still until the session of the one that was killed is over.
        in_batches: whether the broker is to hold an answer back for a moment, until it is worth the
            asking: each asks for every partition, which costs more than a record does.
    """
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=settings.kafka,
        group_id=group,
        group_instance_id=member,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
        **(BATCHES if in_batches else {}),
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=SESSION_TIMEOUT_MS // 3,
        metadata_max_age_ms=METADATA_MS_MAX,
    )


@asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A connected consumer of no group, for who reads from here to there and answers a person.

    Raises:
        UserError: the broker does not answer, or does no more.
    """
    source = consumer(settings, group=None)
    try:
        await source.start()
        yield source
    except KafkaError as refusal:
        raise unreachable(settings, refusal) from None
    finally:
        await source.stop()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a payment's key, of so many; on the raw topics and on those behind them.

    CRC-32 instead of aiokafka's default, a murmur2 in Python that costs as much as verifying the
    webhook. Whoever writes to a raw topic uses it, or a payment's events part ways.
    """
    return crc32(key) % partitions


def unreachable(settings: Settings, refusal: KafkaError) -> UserError:
    """The sentence for a broker that can't be had: where, and what its client says of it."""
    return UserError(
        f"Kafka does not answer at {settings.kafka} ({type(refusal).__name__}): "
        "start it with `payments up`, or set PAYMENTS_KAFKA_BOOTSTRAP_SERVERS."
    )


def quiet() -> None:
    """Leave it to the caller to say what is wrong: the client's log says it again, and worse."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


async def ensure_topics(settings: Settings, topics: Iterable[str]) -> tuple[str, ...]:
    """Create those of `topics` (`providers.topics()`) that don't exist; return their names.

    Of those that do, raise what the settings want more of, and return what was raised.

    Raises:
        KafkaError: the broker can't be reached, or refuses.
        TimeoutError: it took the topics, and doesn't show a leader of each partition.
    """
    wanted = set(topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await admin.start()
        missing = sorted(wanted - set(await admin.list_topics()))
        raised = await topic_configs.raise_to(admin, wanted - {*missing}, configs(settings))
        created: tuple[str, ...] = ()
        if missing:
            answer = await admin.create_topics([_new_topic(name, settings) for name in missing])
            created = _created(answer.topic_errors)
        async with asyncio.timeout(TOPICS_SHOWN_S_MAX):
            # The broker tells nobody when.
            while not await _led(admin, wanted):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
    return *created, *raised


async def _led(admin: AIOKafkaAdminClient, names: Iterable[str]) -> bool:
    """Whether every partition has a leader: who joins a group before is given too few of them."""
    described: list[dict[str, Any]] = await admin.describe_topics(sorted(names))
    return all(
        not topic["error_code"]
        and topic["partitions"]
        and all(partition["leader"] >= 0 for partition in topic["partitions"])
        for topic in described
    )


def configs(settings: Settings) -> dict[str, str]:
    """What the settings want of every topic."""
    replicas = settings.kafka_replication_factor
    return {
        # One replica may be away and writes go on; with one replica there is none to spare.
        "min.insync.replicas": str(max(1, replicas - 1)),
        topic_configs.RETENTION_MS: str(settings.kafka_retention_ms),
        "segment.ms": str(min(SEGMENT_MS, settings.kafka_retention_ms)),
        "max.message.bytes": str(record_bytes_max(settings)),
    }


async def partitions(settings: Settings, topics: Iterable[str]) -> list[TopicPartition]:
    """Every partition of some topics, in order.

    Raises:
        UnknownTopicOrPartitionError: a topic isn't there yet; the message says what makes it.
        KafkaError: the broker doesn't answer.
    """
    wanted = set(topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await admin.start()
        # First, since asking about a topic that isn't there may create it, with one partition.
        if missing := wanted - set(await admin.list_topics()):
            raise UnknownTopicOrPartitionError(f"no {', '.join(missing)}: run `payments migrate`")
        described: list[dict[str, Any]] = await admin.describe_topics(sorted(wanted))
    finally:
        await admin.close()
    return sorted(
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    )


def _new_topic(name: str, settings: Settings) -> NewTopic:
    replicas = settings.kafka_replication_factor
    return NewTopic(name, settings.kafka_partitions, replicas, topic_configs=configs(settings))


def _created(answers: Iterable[tuple[str, int, str | None]]) -> tuple[str, ...]:
    created = []
    for name, code, message in answers:
        error = for_code(code)
        if error is NoError:
            created.append(name)
        elif error is not TopicAlreadyExistsError:  # another `migrate` at the same time
            raise error(f"topic {name}: {message}")
    return tuple(created)


# --- records ----------------------------------------------------------------------------------


def raw_event(record: ConsumerRecord) -> RawEvent:
    """Read a record of a raw topic or of `webhooks.dlq`; never raises, whoever wrote the record.

    A record that the gateway didn't write may lack its headers: its verdict is then `unverified`.
    """
    headers = dict(record.headers)  # the last of a name is meant, an empty one too
    found = {name: value.decode("utf-8", "replace") for name, value in headers.items() if value}
    body = record.value or b""
    return RawEvent(
        provider=_provider(record.topic, found.get(names.CE_SOURCE, "")),
        coordinates=Coordinates(record.topic, record.partition, record.offset),
        body=body,
        event_id=found.get(names.CE_ID),
        body_sha256=found.get(names.BODY_SHA256) or sha256(body).hexdigest(),
        received_at=_received_at(found.get(names.RECEIVED_AT, ""), record.timestamp),
        verdict=found.get(names.VERDICT, "unverified"),
        traceparent=found.get(names.TRACEPARENT),
        event_type=found.get(names.CE_TYPE),
    )


def _provider(topic: str, source: str) -> str:
    parts = source.split("/")
    if len(parts) > 2:  # /webhooks/<provider>[/<account>]
        return parts[2]
    return topic.split(".")[1] if topic.startswith("webhooks.") else topic


def _received_at(received_at: str, timestamp_ms: int) -> datetime:
    try:
        at = datetime.fromisoformat(received_at)
    except ValueError:
        at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


# --- sent, and there --------------------------------------------------------------------------


class Outgoing(NamedTuple):
    """A record to be sent."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


async def send_all(producer: AIOKafkaProducer, records: Iterable[Outgoing]) -> list[Coordinates]:
    """Send records in their order, and wait for every acknowledgement; where each lies now.

    Raises:
        UserError: the broker did not acknowledge in time. They may be there all the same, so this
            is for what does no harm twice.
        KafkaError: it refuses one.
    """
    try:
        async with asyncio.timeout(ACKNOWLEDGED_S_MAX):
            # One after the other into the producer's buffer, so that their order stays.
            sent = [await _buffered(producer, record) for record in records]
            places = await asyncio.gather(*sent)
    except TimeoutError:
        raise UserError(
            f"Kafka did not acknowledge within {ACKNOWLEDGED_S_MAX:.0f} s: `payments status`, "
            "then the same command again; nothing comes to bronze twice.",
            1,
        ) from None
    return [
        Coordinates(topic=place.topic, partition=place.partition, offset=place.offset)
        for place in places
    ]


async def _buffered(producer: AIOKafkaProducer, record: Outgoing) -> "asyncio.Future[Any]":
    topic, key, value, headers = record
    partition = partition_of(key or b"", len(await producer.partitions_for(topic)))
    future: asyncio.Future[Any] = await producer.send(
        topic, value, key, partition, headers=list(headers)
    )
    return future


# --- from here to there -----------------------------------------------------------------------


async def offsets_at(consumer: AIOKafkaConsumer, moment: datetime, ends: Offsets) -> Offsets:
    """Of each partition its first record from a moment on, by the records' own timestamps.

    Args:
        consumer: has them assigned.
        moment: with its time zone.
        ends: what is said of a partition that has none.
    """
    at_ms = max(0, int(moment.timestamp() * 1000))
    found = await consumer.offsets_for_times(dict.fromkeys(ends, at_ms))
    return {place: found[place].offset if found[place] else end for place, end in ends.items()}


async def read_up_to(
    consumer: AIOKafkaConsumer,
    positions: Offsets,
    ends: Offsets,
    records_max: int = POLL_RECORDS_MAX,
) -> AsyncIterator[list[ConsumerRecord[bytes, bytes]]]:
    """The records of some partitions up to, but not including, their `ends`, in order in each.

    Each list is of one partition, and of `records_max` records at most. `positions` move along, so
    that the next call goes on from there.

    Args:
        consumer: has all of them assigned, and paused; each is paused again at its end.
        positions: where each begins.
        ends: where each ends; a log may have gaps, so fewer records may lie before.
        records_max: how many one poll brings at most.

    Raises:
        UserError: the broker brings nothing for `STALL_S`, though there is more.
        KafkaError: it can't be reached.
    """
    left = {place for place, end in ends.items() if positions[place] < end}
    for place in left:
        consumer.seek(place, positions[place])
    consumer.resume(*left)
    moved_at = monotonic()
    while left:
        got = await consumer.getmany(timeout_ms=POLL_MS, max_records=records_max)
        for place, records in got.items():
            yield [record for record in records if record.offset < ends[place]]
        for place in tuple(left):
            reached = min(await consumer.position(place), ends[place])
            if reached > positions[place]:
                positions[place], moved_at = reached, monotonic()
            if reached == ends[place]:
                consumer.pause(place)
                left.remove(place)
        if monotonic() - moved_at > STALL_S:
            raise UserError(f"Kafka brings nothing of {next(iter(left)).topic}: is it well?", 1)
