"""A range is started once, and a range of a wiped log is not mistaken for it."""

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
    """A Temporal client that knows which workflows have run, and when they started."""

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
    """A consumer of a log with one record at this offset and time."""

    offset: int
    at: datetime

    async def offsets_for_times(
        self, asked: dict[TopicPartition, int]
    ) -> dict[TopicPartition, Found | None]:
        at_ms = int(self.at.timestamp() * 1000)
        return {
            partition: Found(self.offset, at_ms) if at_ms >= after_ms else None
            for partition, after_ms in asked.items()
        }


async def start(temporal: Temporal, log: Log, batch: OffsetRange = BATCH) -> object:
    return await start_range(cast("Client", temporal), cast("AIOKafkaConsumer", log), batch)


OLD = Log(150, NOON - timedelta(minutes=1))
YOUNG = Log(150, NOON + timedelta(minutes=1))


async def test_a_range_is_started_with_its_workflow_id() -> None:
    temporal = Temporal()
    assert await start(temporal, OLD)
    assert temporal.started == [("IngestRange", "ingest/payments.normalized/3/100-200")]


async def test_a_range_of_dead_letters_starts_a_quarantine() -> None:
    temporal = Temporal()
    await start(temporal, OLD, OffsetRange("webhooks.dlq", 0, 0, 1))
    assert temporal.started == [("QuarantineRange", "ingest/webhooks.dlq/0/0-1")]


async def test_a_range_that_has_already_run_is_not_started_again() -> None:
    temporal = Temporal(ran={BATCH.workflow_id: NOON})
    assert await start(temporal, OLD) is None
    assert temporal.started == []


async def test_new_events_of_a_wiped_log_are_not_hidden_by_old_workflow_ids() -> None:
    temporal = Temporal(ran={BATCH.workflow_id: NOON})
    for _ in range(2):  # this start is idempotent, too
        await start(temporal, YOUNG)
    at_ms = int(YOUNG.at.timestamp() * 1000)
    assert temporal.started == [("IngestRange", f"{BATCH.workflow_id}@{at_ms}")]


async def test_younger_records_after_the_range_do_not_count() -> None:
    temporal = Temporal(ran={BATCH.workflow_id: NOON})
    assert await start(temporal, Log(200, NOON + timedelta(minutes=1))) is None
    assert temporal.started == []
