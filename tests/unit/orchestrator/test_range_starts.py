"""A range is started once, and a range of a wiped log is not mistaken for it."""

from datetime import UTC, datetime, timedelta

from payment_pipeline.orchestrator.dispatcher.range_starts import start_range
from payment_pipeline.orchestrator.messages import OffsetRange
from support.fakes import FakeTemporal, OneRecordLog

BATCH = OffsetRange("payments.normalized", 3, 100, 200)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


async def start(temporal: FakeTemporal, log: OneRecordLog, batch: OffsetRange = BATCH) -> object:
    return await start_range(temporal, log, batch)


OLD = OneRecordLog(150, NOON - timedelta(minutes=1))
YOUNG = OneRecordLog(150, NOON + timedelta(minutes=1))


async def test_a_range_is_started_with_its_workflow_id() -> None:
    temporal = FakeTemporal(NOON)
    assert await start(temporal, OLD)
    assert temporal.started == [("IngestRange", "ingest/payments.normalized/3/100-200")]


async def test_a_range_of_dead_letters_starts_a_quarantine() -> None:
    temporal = FakeTemporal(NOON)
    await start(temporal, OLD, OffsetRange("webhooks.dlq", 0, 0, 1))
    assert temporal.started == [("QuarantineRange", "ingest/webhooks.dlq/0/0-1")]


async def test_a_range_that_has_already_run_is_not_started_again() -> None:
    temporal = FakeTemporal(NOON, ran={BATCH.workflow_id: NOON})
    assert await start(temporal, OLD) is None
    assert temporal.started == []


async def test_new_events_of_a_wiped_log_are_not_hidden_by_old_workflow_ids() -> None:
    temporal = FakeTemporal(NOON, ran={BATCH.workflow_id: NOON})
    for _ in range(2):  # this start is idempotent, too
        await start(temporal, YOUNG)
    at_ms = int(YOUNG.at.timestamp() * 1000)
    assert temporal.started == [("IngestRange", f"{BATCH.workflow_id}@{at_ms}")]


async def test_younger_records_after_the_range_do_not_count() -> None:
    temporal = FakeTemporal(NOON, ran={BATCH.workflow_id: NOON})
    assert await start(temporal, OneRecordLog(200, NOON + timedelta(minutes=1))) is None
    assert temporal.started == []
