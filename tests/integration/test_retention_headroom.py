"""The retention headroom and the doctor's checks of it, on a real Kafka and PostgreSQL."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from local_stack import roles
from local_stack.component import Check
from local_stack.stack import down
from payment_operations import retention_checks as doctor
from payment_operations.retention_checks import checks
from payment_operations.stack_start import up
from payment_pipeline.adapters import kafka
from payment_pipeline.domain.topics import NORMALIZED
from payment_pipeline.orchestrator.retention_headroom import headrooms
from payment_pipeline.orchestrator.worker import worker_telemetry as metrics
from payment_pipeline.orchestrator.worker.assembly import resources
from payment_pipeline.settings import Settings
from support.normalized_events import produce, until

pytestmark = pytest.mark.stack

FIRST = TopicPartition(NORMALIZED, 0)


async def commit(settings: Settings, offset: int) -> None:
    """Commit an offset as the dispatcher does."""
    async with kafka.consumer(settings, group="dispatcher") as consumer:
        consumer.assign([FIRST])
        await consumer.commit({FIRST: offset})


async def test_records_are_needed_until_they_are_dispatched(private_stores: Settings) -> None:
    at = await produce(private_stores, NORMALIZED, [b"{}"] * 10)
    first, last = at[0].offset, at[-1].offset
    await commit(private_stores, first + 4)
    (found,) = await headrooms(private_stores, {})
    assert (found.topic, found.partition, found.offset) == (NORMALIZED, 0, first + 4)
    assert found.lost == 0
    assert 0 <= found.age_s < 60
    assert found.retention_s == private_stores.kafka_retention_ms / 1000
    assert found.ok

    await _delete_before(private_stores, first + 7)
    (found,) = await headrooms(private_stores, {})
    assert (found.lost, found.ok) == (3, False)

    await commit(private_stores, last + 1)
    assert await headrooms(private_stores, {}) == []


async def test_a_worker_samples_the_headroom_while_it_waits_for_its_stores(
    private_stores: Settings,
) -> None:
    at = await produce(private_stores, NORMALIZED, [b"{}"])
    nowhere = {"temporal_port": 1, "postgres_port": 1}
    gauge = metrics.RETENTION_USED.labels(NORMALIZED)
    gauge.set(0)

    async def start() -> None:
        async with resources(private_stores.model_copy(update=nowhere)):
            raise AssertionError("neither store answers")

    starting = asyncio.create_task(start())
    await until(lambda: gauge._value.get() > 0)
    starting.cancel()
    await commit(private_stores, at[0].offset + 1)


async def _delete_before(settings: Settings, offset: int) -> None:
    admin = kafka.admin_client(settings)
    await admin.start()
    await admin.delete_records({FIRST: RecordsToDelete(before_offset=offset)})
    await admin.close()


def test_the_doctor_asks_the_stores_that_run(private_stores: Settings) -> None:
    found = {check.name: check for check in checks(private_stores)}
    assert found.keys() == {"Retention", "Retention headroom", "Transaction horizon"}
    headroom = found.pop("Retention headroom")
    assert not headroom.ok, "Temporal is down"
    assert "unknown" in headroom.finding
    assert all(check.ok for check in found.values()), found
    longer = private_stores.kafka_retention_ms * 2
    wanted = private_stores.model_copy(update={"kafka_retention_ms": longer})
    retention = next(check for check in checks(wanted) if check.name == "Retention")
    assert not retention.ok
    assert "payments migrate" in retention.remedy


def test_without_a_running_stack_there_are_no_checks() -> None:
    nobody = Settings(kafka_port=1, postgres_port=1, temporal_port=1, postgres_password="x")
    assert checks(nobody) == []


def test_a_transaction_that_holds_the_lake_back_is_found_in_any_database(
    fresh_stack: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = fresh_stack("postgres")
    monkeypatch.setattr(doctor, "HORIZON_AGE_S_MAX", 0.0)
    password = settings.secret("postgres_admin_password")
    with psycopg.connect(
        settings.dsn, autocommit=True, user=roles.ADMIN, password=password
    ) as admin:
        admin.execute("ALTER SYSTEM SET max_prepared_transactions = 1")
    down(settings)
    up(settings, only=("postgres",))

    dagster = settings.dagster_storage
    with psycopg.connect(dagster, autocommit=True, application_name="ours") as writer:
        writer.execute("BEGIN")
        writer.execute("SELECT pg_current_xact_id()")
        (horizon,) = checks(settings)
        assert not horizon.ok
        assert "a transaction of ours" in horizon.finding
        assert f"pg_terminate_backend({writer.info.backend_pid})" in horizon.remedy

        writer.execute("PREPARE TRANSACTION 'forgotten'")
        (horizon,) = checks(settings)
        assert not horizon.ok
        assert "transaction forgotten of database dagster" in horizon.finding
        assert "ROLLBACK PREPARED 'forgotten'` in dagster" in horizon.remedy

        writer.execute("ROLLBACK PREPARED 'forgotten'")
        assert checks(settings) == [
            Check("Transaction horizon", True, "no transaction keeps rows from the lake", "")
        ]
