"""Writes events to Kafka, and waits until every in-sync replica has them.

The unacknowledged records are limited in number and in bytes. Without a broker, aiokafka keeps its
records and retries forever. So a record counts until Kafka has settled it, even after its request
has stopped waiting. At the limit, the publisher refuses new records.

After a delivery that fails for good, an idempotent producer has a gap in its sequence numbers, and
each later send to that partition fails too. The publisher then replaces the producer.
"""

import asyncio
from functools import partial
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from payment_pipeline.adapters import kafka
from payment_pipeline.domain.headers import Headers
from payment_pipeline.settings import Settings

from . import gateway_metrics

RECONNECT_S: Final = 0.5
"""The pause between two attempts to connect a producer."""
FLUSH_S_MAX: Final = 5.0
"""How long a stop waits for unacknowledged records."""
PROBE_S_MAX: Final = 1.0
"""How long the readiness check waits for the broker."""

log = structlog.get_logger()


class NotPublishedError(Exception):
    """It is not known if Kafka has the event."""


class NoBrokerError(NotPublishedError):
    """The producer is not connected, or the broker failed the send."""


class DeadlineError(NotPublishedError):
    """Kafka did not acknowledge in time. It may still store the event."""


class OverloadedError(NotPublishedError):
    """Too many records or bytes are unacknowledged."""


class _Deadline:
    """Cancels its task after a time. It costs half as much as `asyncio.timeout`."""

    __slots__ = ("_passed", "_task", "_timer")

    def __init__(self, within_s: float) -> None:
        self._task = asyncio.current_task()
        self._passed = False
        self._timer = asyncio.get_running_loop().call_later(within_s, self._pass)

    def explain(self) -> None:
        """Raises if this deadline cancelled the task.

        Raises:
            DeadlineError: the deadline has passed.
        """
        if self._passed and self._task is not None:
            self._task.uncancel()
            raise DeadlineError

    def end(self) -> None:
        """Stops the deadline."""
        self._timer.cancel()

    def _pass(self) -> None:
        self._passed = True
        if self._task is not None:
            self._task.cancel()


class _Line:
    """One producer, with the number of its unsettled records."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.broken = asyncio.Event()
        self._partitions: dict[str, int] = {}
        self.records = 0
        self.bytes = 0

    async def partition(self, topic: str, key: bytes | None) -> int | None:
        """The partition of a key; `None` lets the producer choose."""
        if key is None:
            return None
        count = self._partitions.get(topic)
        if count is None:
            count = self._partitions[topic] = len(await self.producer.partitions_for(topic))
        return kafka.partition_of(key, count)

    def take(self, size: int) -> None:
        self.records += 1
        self.bytes += size

    def release(self, size: int) -> None:
        self.records -= 1
        self.bytes -= size

    def settled(self, size: int, acknowledged: asyncio.Future[object]) -> None:
        self.release(size)
        if not acknowledged.cancelled() and acknowledged.exception() is not None:
            self.broken.set()


class Publisher:
    """Keeps one producer connected. Use it as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._line: _Line | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._retired: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Publisher":
        self._keeper = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Waits for the unacknowledged records, at most `FLUSH_S_MAX`."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        if self._line is not None:
            self._retire(self._line)
        if self._retired:
            _, unflushed = await asyncio.wait(self._retired, timeout=FLUSH_S_MAX)
            for task in unflushed:
                task.cancel()

    @property
    def unacknowledged(self) -> int:
        """The number of unacknowledged records."""
        return self._line.records if self._line else 0

    @property
    def unacknowledged_bytes(self) -> int:
        """The number of unacknowledged bytes of bodies."""
        return self._line.bytes if self._line else 0

    def has_room(self) -> bool:
        """True if the publisher would accept one more record."""
        return (
            self.unacknowledged < self._settings.gateway_in_flight_max
            and self.unacknowledged_bytes < self._settings.gateway_bytes_max
        )

    async def publish(self, topic: str, key: bytes | None, body: bytes, headers: Headers) -> None:
        """Sends a record, and returns when Kafka has acknowledged it.

        Raises:
            NotPublishedError: Kafka did not acknowledge it before the gateway's deadline. The
                subclass says why.
        """
        line = self._line
        if line is None:
            raise NoBrokerError
        if not self.has_room():
            raise OverloadedError
        size = len(body)
        line.take(size)
        sent = False
        deadline = _Deadline(self._settings.gateway_deadline_s)
        try:
            acknowledged = await line.producer.send(
                topic, body, key, await line.partition(topic, key), headers=[*headers]
            )
            acknowledged.add_done_callback(partial(line.settled, size))
            sent = True
            await asyncio.shield(acknowledged)
        except asyncio.CancelledError:
            deadline.explain()
            raise
        except KafkaError as error:
            gateway_metrics.KAFKA_ERRORS.labels(type(error).__name__).inc()
            if not sent and not isinstance(error, KafkaTimeoutError):
                line.broken.set()
            raise NoBrokerError from error
        finally:
            deadline.end()
            if not sent:
                line.release(size)

    async def is_ready(self, topics: frozenset[str]) -> bool:
        """Whether the broker answers now, and knows a leader for every partition of `topics`."""
        line = self._line
        if line is None or line.broken.is_set():
            return False
        try:
            async with asyncio.timeout(PROBE_S_MAX):
                cluster = await line.producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError):
            return False
        return all(
            (known := cluster.partitions_for_topic(topic)) is not None
            and known == cluster.available_partitions_for_topic(topic)
            for topic in topics
        )

    async def _keep_connected(self) -> None:
        while True:
            line = _Line(kafka.producer(self._settings))
            try:
                await line.producer.start()
            except KafkaError as error:
                log.warning("kafka_unreachable", error=type(error).__name__)
                await line.producer.stop()
                await asyncio.sleep(RECONNECT_S)
                continue
            except asyncio.CancelledError:
                await line.producer.stop()
                raise
            log.info("kafka_connected")
            self._line = line
            await line.broken.wait()
            self._line = None
            gateway_metrics.PRODUCERS_REPLACED.inc()
            log.error("producer_replaced", unacknowledged=line.records)
            self._retire(line)

    def _retire(self, line: _Line) -> None:
        """Stops a producer in a task, which waits for its records."""
        task = asyncio.create_task(line.producer.stop())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
