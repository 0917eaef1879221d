"""Typed test doubles. Each subclasses the class it stands for, so mypy checks its signature."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from payment_pipeline.adapters.kafka_ranges import RangeReader
from payment_pipeline.domain.headers import Headers
from payment_pipeline.gateway.publisher import NotPublishedError, Publisher
from payment_pipeline.orchestrator.messages import OffsetRange
from payment_pipeline.providers import Provider


class FakePublisher(Publisher):
    """Keeps the records that it is given, or fails with `failure`."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None, bytes, dict[str, bytes]]] = []
        self.failure: type[NotPublishedError] | None = None
        self.room = True
        self.ready = True
        self.asked_about: frozenset[str] = frozenset()

    def has_room(self) -> bool:
        return self.room

    async def publish(self, topic: str, key: bytes | None, body: bytes, headers: Headers) -> None:
        if self.failure is not None:
            raise self.failure
        assert len(dict(headers)) == len(headers), "a header is there twice"
        self.records.append((topic, key, body, dict(headers)))

    async def is_ready(self, topics: frozenset[str]) -> bool:
        self.asked_about = topics
        return self.ready


class FakeRanges(RangeReader):
    """Answers every range with the same record values."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self._values = values
        self.asked: list[tuple[str, int, int, int]] = []

    async def read(
        self, topic: str, partition: int, start: int, end: int
    ) -> list[ConsumerRecord[bytes, bytes]]:
        self.asked.append((topic, partition, start, end))
        return [SimpleNamespace(value=value) for value in self._values]


class EmptyTopics:
    """A Kafka consumer of topics without records. (aiokafka has no types.)"""

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}


@dataclass
class OneRecordLog:
    """A Kafka consumer of a log with one record, at this offset and time."""

    offset: int
    at: datetime

    async def offsets_for_times(
        self, asked: dict[TopicPartition, int]
    ) -> dict[TopicPartition, SimpleNamespace | None]:
        at_ms = int(self.at.timestamp() * 1000)
        found = SimpleNamespace(offset=self.offset, timestamp=at_ms)
        return {
            partition: found if at_ms >= after_ms else None for partition, after_ms in asked.items()
        }


class FakeTemporal(Client):
    """Knows which workflows have run, and when they started."""

    def __init__(self, now: datetime, ran: dict[str, datetime] | None = None) -> None:
        self.now = now
        self.ran = ran or {}
        self.started: list[tuple[str, str]] = []

    async def start_workflow(  # type: ignore[override]  # the SDK has twelve overloads
        self, kind: str, _: OffsetRange, **options: object
    ) -> str:
        assert options["id_reuse_policy"] is WorkflowIDReusePolicy.REJECT_DUPLICATE
        assert options["id_conflict_policy"] is WorkflowIDConflictPolicy.USE_EXISTING
        name = str(options["id"])
        if name in self.ran:
            raise WorkflowAlreadyStartedError(name, kind)
        self.ran[name] = self.now
        self.started.append((kind, name))
        return name

    def get_workflow_handle(self, workflow_id: str, **_: Any) -> Any:  # noqa: ANN401
        async def describe() -> SimpleNamespace:
            return SimpleNamespace(start_time=self.ran[workflow_id])

        return SimpleNamespace(describe=describe)


def provider_like(real: Provider, **changed: object) -> Provider:
    """Return a provider with some attributes of a real one changed."""
    attributes = {name: getattr(real, name) for name in dir(real) if not name.startswith("__")}
    found: Any = SimpleNamespace(**{**attributes, **changed})
    provider: Provider = found
    return provider
