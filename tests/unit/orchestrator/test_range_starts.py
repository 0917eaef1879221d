"""Whether a range is started once, and another log's range never passes for it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from payment_pipeline.orchestrator.dispatcher.range_starts import start_range
from payment_pipeline.orchestrator.messages import OffsetRange

BATCH = OffsetRange("payments.normalized", 3, 100, 200)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Found(NamedTuple):
    offset: int
    timestamp: int


@dataclass
class Temporal:
    """Knows the workflows that have run, and when they began."""

    ran: dict[str, datetime] = field(default_factory=dict)
    started: list[tuple[str, str]] = field(default_factory=list)

    async def start_workflow(self, kind: str, _: OffsetRange, **options: object) -> str:
        assert options["id_reuse_policy"] is WorkflowIDReusePolicy.REJECT_DUPLICATE
        assert options["id_conflict_policy"] is WorkflowIDConflictPolicy.USE_EXISTING
        name = str(options["id"])
        if name in self.ran:
            raise WorkflowAlreadyStartedError(name, kind)
        self.ran[name] = NOON
        self.started.append((kind, name))
        return name

    def get_workflow_handle(self, name: str) -> "Described":
        return Described(self.ran[name])


class Described(NamedTuple):
    start_time: datetime

    async def describe(self) -> "Described":
        return self


@dataclass
class Log:
    """One record, at this offset and time."""

    offset: int
    at: datetime

    async def offsets_for_times(
        self, asked: dict[TopicPartition, int]
    ) -> dict[TopicPartition, Found | None]:
        at_ms = int(self.at.timestamp() * 1000)
        return {
            place: Found(self.offset, at_ms) if at_ms >= after_ms else None
            for place, after_ms in asked.items()
        }


async def start(temporal: Temporal, log: Log, batch: OffsetRange = BATCH) -> object:
    return await start_range(cast("Client", temporal), cast("AIOKafkaConsumer", log), batch)


OLD = Log(150, NOON - timedelta(minutes=1))
YOUNG = Log(150, NOON + timedelta(minutes=1))


async def test_a_range_is_started_under_its_own_id() -> None:
    temporal = Temporal()
    assert await start(temporal, OLD)
    assert temporal.started == [("IngestRange", "ingest/payments.normalized/3/100-200")]


async def test_dead_letters_go_to_quarantine() -> None:
    temporal = Temporal()
    await start(temporal, OLD, OffsetRange("webhooks.dlq", 0, 0, 1))
    assert temporal.started == [("QuarantineRange", "ingest/webhooks.dlq/0/0-1")]


async def test_a_range_that_ran_is_a_success() -> None:
    temporal = Temporal(ran={BATCH.workflow_id: NOON})
    assert await start(temporal, OLD) is None
    assert temporal.started == []


async def test_a_log_that_was_wiped_does_not_lose_its_new_events_to_old_ids() -> None:
    temporal = Temporal(ran={BATCH.workflow_id: NOON})
    for _ in range(2):  # and that start is idempotent too
        await start(temporal, YOUNG)
    at_ms = int(YOUNG.at.timestamp() * 1000)
    assert temporal.started == [("IngestRange", f"{BATCH.workflow_id}@{at_ms}")]


async def test_younger_records_behind_the_range_say_nothing_of_it() -> None:
    temporal = Temporal(ran={BATCH.workflow_id: NOON})
    assert await start(temporal, Log(200, NOON + timedelta(minutes=1))) is None
    assert temporal.started == []
