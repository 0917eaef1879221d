"""Tests of Dagster's definitions, whose names alerts, bookmarks and other code use."""

from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from orchestration_dagster.definitions import defs
from orchestration_dagster.defs.maintenance.upkeep import MERGED_INTO
from orchestration_dagster.defs.marts.dbt_build import FOUND
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.naming import (
    FIRST_MODEL,
    FRESHNESS_CHECK,
    HORIZON_CHECKS,
    LAKE_KEYS,
    MARTS,
    MODEL_SCHEMAS,
    pool,
)

SNAPSHOT: Final = Path(__file__).with_name("definitions.txt")
OF_DBT: Final = {"staging", "intermediate", "marts", "dashboards"}
"""Groups whose names come from the dbt project, which has its own tests of them."""

pytestmark = [
    # Dagster reads a deprecated attribute of pydantic's.
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
]


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return defs().get_repository_def()


def names(repository: dg.RepositoryDefinition) -> list[str]:
    keys = [key for key in repository.asset_graph.get_all_asset_keys() if key.path[0] not in OF_DBT]
    checks = [
        key
        for key in repository.asset_graph.asset_check_keys
        if key.asset_key.path[0] not in OF_DBT
    ]
    return sorted(
        [
            *(f"asset {key.to_user_string()}" for key in keys),
            *(f"check {key.asset_key.to_user_string()} {key.name}" for key in checks),
            *(f"job {job.name}" for job in repository.get_all_jobs()),
            *(f"schedule {each.name} {each.cron_schedule}" for each in repository.schedule_defs),
            *(f"sensor {sensor.name}" for sensor in repository.sensor_defs),
        ]
    )


def test_the_public_names_have_not_changed(repository: dg.RepositoryDefinition) -> None:
    assert names(repository) == SNAPSHOT.read_text().splitlines()


def test_lineage_leads_from_bronze_to_a_dashboard(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    reached = {dg.AssetKey(["bronze", "payment_events"])}
    while more := {child for key in reached for child in graph.get(key).child_keys} - reached:
        reached |= more
    assert LAKE_KEYS[0] in reached
    assert dg.AssetKey(["marts", "fct_payments"]) in reached
    assert dg.AssetKey(["dashboards", "payments_dashboard"]) in reached


def test_the_micro_batch_selects_the_lake_and_the_marts_and_no_heavy_check(
    repository: dg.RepositoryDefinition,
) -> None:
    layer = repository.get_job("micro_batch").asset_layer
    graph = repository.asset_graph
    marts = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == MARTS}
    assert layer.selected_asset_keys == {*LAKE_KEYS, *marts}
    assert layer.asset_graph.asset_check_keys == set(HORIZON_CHECKS)


def test_every_dbt_test_runs_each_hour(repository: dg.RepositoryDefinition) -> None:
    """A test of several models becomes a check only if it names the model that it checks."""
    asked = repository.get_job("marts_hold").asset_layer.asset_graph.asset_check_keys
    tests = [node["name"] for node in FOUND["nodes"].values() if node["resource_type"] == "test"]
    assert tests
    assert sorted(key.name for key in asked) == sorted([*tests, FRESHNESS_CHECK.name])


def test_every_writer_of_a_table_uses_its_pool(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    for table, key in zip(TABLES, LAKE_KEYS, strict=True):
        writers = [key, *(child for child in graph.get(key).child_keys if len(child.path) == 3)]
        assert len(writers) == 5
        for writer in writers:
            (op,) = graph.get(writer).assets_def.node_def.iterate_op_defs()
            assert op.pool == pool(table)
        for job in ("reload_day", "rebuild", "reanchor"):
            pools = {node.definition.pool for node in repository.get_job(job).nodes}  # type: ignore[attr-defined] # the nodes are ops
            assert pool(table) in pools


def test_every_rewrite_of_the_lake_rebuilds_the_marts(
    repository: dg.RepositoryDefinition,
) -> None:
    """Incremental models miss rewritten rows, which keep their old transactions."""
    writes = {"reload_day": "reload_day_of", "rebuild": "rebuild", "reanchor": "reanchor"}
    for name, writer in writes.items():
        job = repository.get_job(name)
        upstream = job.graph.dependency_structure.input_to_upstream_outputs_for_node("marts_anew")
        (writers,) = upstream.values()
        assert {each.node_name for each in writers} == {f"{writer}_{table}" for table in TABLES}


def test_maintenance_of_models_uses_the_pool_of_dbt(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    (build,) = graph.get(FIRST_MODEL).assets_def.node_def.iterate_op_defs()
    assert build.pool == MARTS
    keepers = [child for child in graph.get(FIRST_MODEL).child_keys if child.path[-1] == "models"]
    assert len(keepers) == 4
    for keeper in keepers:
        (op,) = graph.get(keeper).assets_def.node_def.iterate_op_defs()
        assert op.pool == MARTS


def test_every_schema_of_dbt_is_maintained(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    built = {
        key.path[0] for key in graph.get_all_asset_keys() if graph.get(key).group_name == MARTS
    }
    assert built == set(MODEL_SCHEMAS)


def test_tables_that_dbt_merges_into_are_analyzed() -> None:
    merged = {
        node["schema"]
        for node in FOUND["nodes"].values()
        if node["config"]["materialized"] == "incremental"
    }
    assert merged == set(MERGED_INTO)
