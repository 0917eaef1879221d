"""Tests of Dagster's jobs and checks on the real lake."""

from collections.abc import Iterator
from datetime import date
from urllib.parse import urlsplit

import dagster as dg
import pytest

from orchestration_dagster.definitions import defs
from orchestration_dagster.defs.lake.load_assets import HORIZON_AGE_S_MAX
from orchestration_dagster.defs.maintenance.upkeep import OF_MODELS
from orchestration_dagster.lake import lake_tables, table_maintenance
from orchestration_dagster.lake.compare import any_waiting
from orchestration_dagster.lake.data_files import file_system, stored_files
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.lake.loader import load
from orchestration_dagster.lake.table_maintenance import (
    OPERATIONS,
    forget_old_metadata,
    maintain,
    maintain_all,
)
from orchestration_dagster.naming import HORIZON_CHECKS, LAKE_KEYS
from payment_pipeline import settings as settings_module
from payment_pipeline.adapters.trino import connect
from payment_pipeline.settings import Settings
from support.lake_loads import EVENTS, assert_exact, bronze, in_lake, insert, table

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
]

LEDGER = {"ledger_agrees", "every_webhook_has_its_place"}
"""Checks that need the whole pipeline and have their own tests."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return defs()


@pytest.fixture
def instance(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance whose runs use the test's own tables."""
    monkeypatch.setattr(settings_module, "load", lambda: lake)
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def load_all(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    """Runs the loads of the micro-batch without dbt, which has its own tests."""
    job = definitions.resolve_job_def("micro_batch").get_subset(
        asset_selection=set(LAKE_KEYS), asset_check_selection=set(HORIZON_CHECKS)
    )
    return job.execute_in_process(instance=instance, raise_on_error=False)


def checks_of(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> dict[tuple[str, str], bool]:
    """The result of every check of the lake, by table and name."""
    job = definitions.resolve_job_def("bronze_equals_lake")
    wanted = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.name not in LEDGER}
    done = job.get_subset(asset_check_selection=wanted).execute_in_process(instance=instance)
    return {
        (each.asset_key.path[-1], each.check_name): each.passed
        for each in done.get_asset_check_evaluations()
    }


def test_a_micro_batch_loads_every_table_and_reports_its_figures(
    lake: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    insert(lake, "a", 5)
    done = load_all(definitions, instance)
    assert done.success
    events = next(
        each
        for each in done.get_asset_materialization_events()
        if each.asset_key == LAKE_KEYS[list(TABLES).index(EVENTS.name)]
    )
    figures = {name: value.value for name, value in events.materialization.metadata.items()}
    assert (figures["rows"], figures["commits"]) == (5, 1)
    assert [each.passed for each in done.get_asset_check_evaluations()] == [True] * len(TABLES)
    assert_exact(lake)
    checks = checks_of(definitions, instance)
    assert len(checks) == 4 * len(TABLES)
    assert all(checks.values())


def test_the_checks_find_duplicate_and_waiting_rows(
    lake: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    insert(lake, "a", 5)
    load_all(definitions, instance)
    events = table(lake)
    events.append(events.scan(limit=1).to_arrow().cast(events.schema().as_arrow()))
    insert(lake, "waits", 1, at="2026-11-01 12:00+00")
    checks = checks_of(definitions, instance)
    failed = {name for (table_name, name), passed in checks.items() if not passed}
    assert failed == {"rows_and_amounts_as_in_bronze", "one_row_a_key", "nothing_waits_long"}


def test_a_day_is_reloaded_by_its_partition(
    lake: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    insert(lake, "a", 5, at="2026-11-01 12:00+00")
    load_all(definitions, instance)
    table(lake).delete("event_id == 'a1'")
    assert len(in_lake(lake)) == 4
    job = definitions.resolve_job_def("reload_day")
    # Without the marts, which dbt builds from a schema of its own.
    ops = [f"reload_day_of_{name}" for name in TABLES]
    day = str(date(2026, 11, 1))
    assert job.execute_in_process(instance=instance, partition_key=day, op_selection=ops).success
    assert_exact(lake)


def test_another_database_fails_the_run_with_one_sentence(
    lake: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    insert(lake, "a", 5)
    load_all(definitions, instance)
    with table(lake).transaction() as transaction:
        transaction.set_properties({"payments.source": "another/1"})
    done = load_all(definitions, instance)
    assert not done.success
    (failure,) = [event.step_failure_data for event in done.all_events if event.is_step_failure]
    assert "payments lake reanchor payment_events" in str(failure.error)
    job = definitions.resolve_job_def("reanchor")
    # Without the marts, which dbt builds from a schema of its own.
    ops = [f"reanchor_{name}" for name in TABLES]
    assert job.execute_in_process(instance=instance, op_selection=ops).success
    assert load_all(definitions, instance).success


def test_an_old_transaction_warns(
    lake: Settings,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestration_dagster.defs.lake.load_assets.HORIZON_AGE_S_MAX", 0.0)
    with bronze(lake) as writer, writer.transaction():
        writer.execute("SELECT pg_current_xact_id()")
        done = load_all(definitions, instance)
        assert not any_waiting(lake, list(TABLES), 0.0)
        insert(lake, "held", 1)
        assert any_waiting(lake, list(TABLES), 0.0), "a load can't take it, but says so"
        assert not any_waiting(lake, list(TABLES), HORIZON_AGE_S_MAX)
    assert done.success, "a warning stops nothing"
    assert [each.passed for each in done.get_asset_check_evaluations()] == [False] * len(TABLES)


def test_maintenance_changes_no_row(lake: Settings) -> None:
    for batch in "abc":
        insert(lake, batch, 3)
        load(lake, EVENTS.name)
    location = urlsplit(table(lake).location())
    orphan = f"{location.netloc}{location.path}/data/of-a-dead-writer.parquet"
    with file_system(table(lake)).open_output_stream(orphan) as stream:
        stream.write(b"half a file")
    done = {
        each: maintain(lake, each, *EVENTS.identifier, orphans_kept="0s") for each in OPERATIONS
    }
    assert done["remove_orphan_files"].did["removed_files"] > 0
    assert orphan not in stored_files(table(lake))
    assert done["analyze"].did == {"analyzed_columns": len(table(lake).schema().columns)}
    assert (done["compact"].before.files, done["compact"].after.files) == (3, 1)
    assert done["expire_snapshots"].after.snapshots > 0
    assert_exact(lake)
    insert(lake, "d", 3)
    load(lake, EVENTS.name)
    assert_exact(lake)


def test_maintenance_of_models_covers_each_table_and_changes_no_row(
    lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_maintenance, "SNAPSHOTS_KEPT", "0s")
    schema = lake_tables.NAMESPACE
    with connect(lake) as connection:

        def run(statement: str) -> list[list[object]]:
            rows: list[list[object]] = connection.cursor().execute(statement).fetchall()
            return rows

        run(f"CREATE SCHEMA {schema}")
        run(f"CREATE TABLE {schema}.one AS SELECT 1 AS number")
        run(
            f"MERGE INTO {schema}.one USING (VALUES 2, 3) AS new (number)"
            " ON one.number = new.number WHEN NOT MATCHED THEN INSERT VALUES (new.number)"
        )
        run(f"CREATE TABLE {schema}.other AS SELECT 'EUR' AS currency")
        run(f"CREATE VIEW {schema}.a_view AS SELECT * FROM {schema}.one")
        assert forget_old_metadata(lake, [schema]) == 2
        done = {each: maintain_all(lake, each, [schema]) for each in OF_MODELS}
        assert (done["compact"].before.files, done["compact"].after.files) == (3, 2)
        assert done["analyze"].did == {"analyzed_columns": 2}
        assert done["expire_snapshots"].before.snapshots > 2
        assert done["expire_snapshots"].after.snapshots == 2
        assert done["remove_orphan_files"].did == {"removed_files": 0}
        assert run(f"SELECT sum(number), count(*) FROM {schema}.a_view") == [[6, 3]]
        run(f"CREATE OR REPLACE TABLE {schema}.one AS SELECT 1 AS number")
        assert forget_old_metadata(lake, [schema]) == 0, "dbt's replacing forgets no property"
        run(f"DROP VIEW {schema}.a_view")
