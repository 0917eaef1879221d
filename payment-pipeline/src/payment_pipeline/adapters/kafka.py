"""Kafka: producers, consumers, topics, and the headers of a record.

Delivery is at least once, and the sinks are idempotent. Kafka transactions are not used: aiokafka
has only version 0 of the transactional offset commit, without fencing by group generation.
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

from payment_pipeline.adapters import kafka_connection, kafka_security, topic_configs
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.headers import Headers
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.settings import Settings

BATCH_BYTES_MAX: Final = 262_144
"""Size of a producer's batch. aiokafka's default of 16 KiB holds ten webhooks. Measured at the
gateway: 4,480 webhooks/s and a p99 of 1.24 s with the default, 6,490 and 30 ms with this size."""

ENVELOPE_BYTES_MAX: Final = 262_144
"""Room in a record for the key, the headers and a dead letter's errors."""

FETCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""Limit of one fetch from one partition: enough for a whole range of usual webhooks."""

BATCHES: Final = {"fetch_min_bytes": 256 * 1024, "fetch_max_wait_ms": 100}
"""The broker answers a fetch when it has about 80 webhooks, or after a tenth of a second."""

SESSION_TIMEOUT_MS: Final = 6_000
"""How long the partitions of a killed member wait, unless the member returns under its name. It is
the least that a broker allows by default."""

METADATA_MS_MAX: Final = 10_000
"""How long a consumer may miss a new partition, or one that had no leader. The default is five
minutes."""

TOPICS_SHOWN_S_MAX: Final = 30
"""How long to wait until the broker shows a new topic; usually some milliseconds."""

SEGMENT_MS: Final = 24 * 3600 * 1000
"""Kafka deletes whole segments. A week, its default, would double a quiet topic's retention."""

STALL_S: Final = 30.0
"""A read fails if the broker has more records and returns none of them for this time."""

ACKNOWLEDGED_S_MAX: Final = 60.0
"""Limit for the acknowledgement of some hundred records; a healthy broker needs much less."""

POLL_MS: Final = 200
POLL_RECORDS_MAX: Final = 5_000

Offsets: TypeAlias = dict[TopicPartition, int]

kafka_connection.install()


def record_bytes_max(settings: Settings) -> int:
    """Return the size of the largest record: a dead letter with the largest body, in base64."""
    return -(-settings.body_bytes_max * 4 // 3) + ENVELOPE_BYTES_MAX


def producer(settings: Settings) -> AIOKafkaProducer:
    """Build a producer that waits for every in-sync replica; the caller starts it.

    While the broker is down its `send_and_wait` retries without end, so the caller must limit the
    wait and the number of unacknowledged sends. Cancelling the future of a sent record does not
    stop the record.
    """
    return AIOKafkaProducer(
        **kafka_security.options(settings),
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
    """Build a consumer that starts at the earliest record and commits only explicitly.

    Args:
        settings: the broker's address and the size limits.
        topics: the topics to subscribe to; none if the caller assigns or subscribes.
        group: the consumer group; without one the consumer cannot commit.
        member: a name of this process that stays the same after a restart. With it the broker gives
            the restarted process its partitions back at once (static membership, KIP-345). Without
            it the partitions wait until the killed process's session has expired.
        in_batches: let the broker delay an answer until it has `BATCHES["fetch_min_bytes"]`. Every
            request asks for all partitions and costs more than a record.
    """
    return AIOKafkaConsumer(
        *topics,
        **kafka_security.options(settings),
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
    """Connect a consumer without a group, for a command that reads ranges.

    Raises:
        UserError: the broker does not answer.
    """
    source = consumer(settings, group=None)
    try:
        await source.start()
        yield source
    except KafkaError as refusal:
        raise unreachable(settings, refusal) from None
    finally:
        await source.stop()


def admin_client(settings: Settings, **more: Any) -> AIOKafkaAdminClient:  # noqa: ANN401
    """Build an admin client, perhaps with more of aiokafka's arguments; the caller starts it."""
    return AIOKafkaAdminClient(**kafka_security.options(settings), **more)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a payment's key, on all topics of the pipeline.

    It uses CRC-32. aiokafka's default is a murmur2 in Python that costs as much as the verification
    of a webhook. Every writer to these topics must use this function, or the events of one payment
    get into different partitions.
    """
    return crc32(key) % partitions


def unreachable(settings: Settings, refusal: KafkaError) -> UserError:
    """Return the error for a broker that does not answer: its address and the client's error.

    The client reports a refused certificate or password as it reports a broker that is down.
    """
    check = "Start it with `payments up`, or set PAYMENTS_KAFKA_BOOTSTRAP_SERVERS."
    if settings.kafka_security_protocol != "PLAINTEXT":
        check = (
            f"It is down, or refuses {settings.kafka_security_protocol} of the user "
            f"{settings.kafka_user}. Check the settings PAYMENTS_KAFKA_*."
        )
    return UserError(
        f"Kafka does not answer at {settings.kafka} ({type(refusal).__name__}). {check}"
    )


def quiet() -> None:
    """Silence the client's own log, for a command that reports errors itself."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


async def ensure_topics(settings: Settings, topics: Iterable[str]) -> tuple[str, ...]:
    """Create the missing ones of `topics` (`providers.topics()`), and raise limits of the others.

    Returns:
        The names of the topics that were created, and the configurations that were raised.

    Raises:
        KafkaError: the broker does not answer, or refuses.
        TimeoutError: the broker accepted the topics but shows no leader for some partition.
    """
    wanted = set(topics)
    admin = admin_client(settings)
    try:
        await admin.start()
        missing = sorted(wanted - set(await admin.list_topics()))
        raised = await topic_configs.raise_to(admin, wanted - {*missing}, configs(settings))
        created: tuple[str, ...] = ()
        if missing:
            answer = await admin.create_topics([_new_topic(name, settings) for name in missing])
            created = _created(answer.topic_errors)
        async with asyncio.timeout(TOPICS_SHOWN_S_MAX):
            # The broker sends no notification.
            while not await _led(admin, wanted):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
    return *created, *raised


async def _led(admin: AIOKafkaAdminClient, names: Iterable[str]) -> bool:
    """Return true if every partition has a leader: a group that forms earlier misses partitions."""
    described: list[dict[str, Any]] = await admin.describe_topics(sorted(names))
    return all(
        not topic["error_code"]
        and topic["partitions"]
        and all(partition["leader"] >= 0 for partition in topic["partitions"])
        for topic in described
    )


def configs(settings: Settings) -> dict[str, str]:
    """Return the configuration of every topic, as the settings have it."""
    replicas = settings.kafka_replication_factor
    return {
        # Writes go on while one replica is down, unless there is only one.
        "min.insync.replicas": str(max(1, replicas - 1)),
        topic_configs.RETENTION_MS: str(settings.kafka_retention_ms),
        "segment.ms": str(min(SEGMENT_MS, settings.kafka_retention_ms)),
        "max.message.bytes": str(record_bytes_max(settings)),
    }


async def partitions(settings: Settings, topics: Iterable[str]) -> list[TopicPartition]:
    """Return all partitions of some topics, in order.

    Raises:
        UnknownTopicOrPartitionError: a topic does not exist; the message names the command that
            creates it.
        KafkaError: the broker does not answer.
    """
    wanted = set(topics)
    admin = admin_client(settings)
    try:
        await admin.start()
        # Listed first: a request about a missing topic may create it, with one partition.
        if missing := wanted - set(await admin.list_topics()):
            listed = ", ".join(sorted(missing))
            raise UnknownTopicOrPartitionError(f"missing topics: {listed}. Run `payments migrate`.")
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
        elif error is not TopicAlreadyExistsError:  # another `migrate` ran at the same time
            raise error(f"topic {name}: {message}")
    return tuple(created)


# --- records ----------------------------------------------------------------------------------


def raw_event(record: ConsumerRecord) -> RawEvent:
    """Read a record of a raw topic or of `webhooks.dlq`; never raise, whatever the record has.

    A record that another program wrote may lack the gateway's headers. Its verdict is then
    `unverified`.
    """
    headers = dict(record.headers)  # the last header of a name counts, even if it is empty
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
        identity_sha256=found.get(names.IDENTITY_SHA256),
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


# --- sending records --------------------------------------------------------------------------


class Outgoing(NamedTuple):
    """A record to send."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


async def send_all(producer: AIOKafkaProducer, records: Iterable[Outgoing]) -> list[Coordinates]:
    """Send records in their order, wait for every acknowledgement, and return the coordinates.

    Raises:
        UserError: the broker did not acknowledge in time. The records may have been written all the
            same, so send only records that are harmless twice.
        KafkaError: the broker refuses a record.
    """
    try:
        async with asyncio.timeout(ACKNOWLEDGED_S_MAX):
            # Buffered one after the other, so that their order stays.
            sent = [await _buffered(producer, record) for record in records]
            written = await asyncio.gather(*sent)
    except TimeoutError:
        raise UserError(
            f"Kafka did not acknowledge within {ACKNOWLEDGED_S_MAX:.0f} s. "
            "Check `payments status`, then repeat the command: bronze takes no event twice.",
            1,
        ) from None
    return [
        Coordinates(topic=each.topic, partition=each.partition, offset=each.offset)
        for each in written
    ]


async def _buffered(producer: AIOKafkaProducer, record: Outgoing) -> "asyncio.Future[Any]":
    topic, key, value, headers = record
    partition = partition_of(key or b"", len(await producer.partitions_for(topic)))
    future: asyncio.Future[Any] = await producer.send(
        topic, value, key, partition, headers=list(headers)
    )
    return future


# --- reading up to an end -----------------------------------------------------------------------


async def offsets_at(consumer: AIOKafkaConsumer, moment: datetime, ends: Offsets) -> Offsets:
    """Return the offset of each partition's first record at or after a moment.

    Args:
        consumer: a consumer that has the partitions assigned.
        moment: the time, with its time zone, compared with the records' timestamps.
        ends: the offset to return for a partition that has no such record.
    """
    at_ms = max(0, int(moment.timestamp() * 1000))
    found = await consumer.offsets_for_times(dict.fromkeys(ends, at_ms))
    return {each: found[each].offset if found[each] else end for each, end in ends.items()}


async def read_up_to(
    consumer: AIOKafkaConsumer,
    positions: Offsets,
    ends: Offsets,
    records_max: int = POLL_RECORDS_MAX,
) -> AsyncIterator[list[ConsumerRecord[bytes, bytes]]]:
    """Yield the records of some partitions up to, but not including, their `ends`.

    Each list has records of one partition, in order. `positions` is updated, so that the next call
    continues there.

    Args:
        consumer: a consumer that has all partitions assigned and paused. Each partition is paused
            again at its end.
        positions: the first offset of each partition.
        ends: the end offset of each partition. A log may have gaps, so there may be fewer records.
        records_max: the maximum of records in one list.

    Raises:
        UserError: the broker has more records and returned none for `STALL_S`.
        KafkaError: the broker does not answer.
    """
    left = {partition for partition, end in ends.items() if positions[partition] < end}
    for partition in left:
        consumer.seek(partition, positions[partition])
    consumer.resume(*left)
    moved_at = monotonic()
    while left:
        got = await consumer.getmany(timeout_ms=POLL_MS, max_records=records_max)
        for partition, records in got.items():
            yield [record for record in records if record.offset < ends[partition]]
        for partition in tuple(left):
            reached = min(await consumer.position(partition), ends[partition])
            if reached > positions[partition]:
                positions[partition], moved_at = reached, monotonic()
            if reached == ends[partition]:
                consumer.pause(partition)
                left.remove(partition)
        if monotonic() - moved_at > STALL_S:
            topic = next(iter(left)).topic
            raise UserError(
                f"Kafka returns no records of {topic}. Check `payments status` and Kafka's log.", 1
            )
