"""Which names does Dagster know the lake by? Bookmarks, alerts and other people's code use them."""

import os
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from orchestration_dagster.definitions import defs
from orchestration_dagster.lake.tables import TABLES
from orchestration_dagster.naming import HORIZON_CHECKS, LAKE_KEYS, MARTS, pool
from orchestration_dagster.resources import PipelineSettings

SNAPSHOT: Final = Path(__file__).with_name("definitions.txt")
OF_DBT: Final = {"staging", "intermediate", "marts", "dashboards"}
"""Named by the dbt project, whose own tests hold them."""

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


def test_the_names_are_those_that_others_rely_on(repository: dg.RepositoryDefinition) -> None:
    assert names(repository) == SNAPSHOT.read_text().splitlines()


def test_a_row_is_followed_from_bronze_to_a_dashboard(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    reached = {dg.AssetKey(["bronze", "payment_events"])}
    while more := {child for key in reached for child in graph.get(key).child_keys} - reached:
        reached |= more
    assert LAKE_KEYS[0] in reached
    assert dg.AssetKey(["marts", "fct_payments"]) in reached
    assert dg.AssetKey(["dashboards", "payments_dashboard"]) in reached


def test_the_micro_batch_takes_the_lake_and_the_marts_and_no_heavy_check(
    repository: dg.RepositoryDefinition,
) -> None:
    layer = repository.get_job("micro_batch").asset_layer
    graph = repository.asset_graph
    marts = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == MARTS}
    assert layer.selected_asset_keys == {*LAKE_KEYS, *marts}
    assert layer.asset_graph.asset_check_keys == set(HORIZON_CHECKS)


def test_whoever_writes_a_table_waits_for_its_pool(repository: dg.RepositoryDefinition) -> None:
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


def test_a_seed_is_built_again_when_its_file_has_changed(
    repository: dg.RepositoryDefinition, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = import_module("orchestration_dagster.defs.lake.micro_batch")
    files = {key: tmp_path / path.name for key, path in module.seeds().items()}
    assert {path.name for path in files.values()} == {"currencies.csv", "exchange_rates.csv"}
    for path in files.values():
        path.touch()
    monkeypatch.setattr(module, "seeds", lambda: files)
    monkeypatch.setattr(module, "any_waiting", lambda *_: True)
    with dg.instance_for_test() as instance:

        def left_out(minute: int = 1) -> set[dg.AssetKey]:
            at = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
            context = dg.build_schedule_context(
                instance=instance, repository_def=repository, scheduled_execution_time=at
            )
            asked = module.every_minute(context, settings=PipelineSettings())
            assert isinstance(asked, dg.RunRequest)
            return set(files) - set(asked.asset_selection or files)

        assert left_out() == set()
        for key in files:
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        assert left_out() == set(files)
        assert left_out(minute=15) == set()
        changed, path = next(iter(files.items()))
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 3600))
        assert left_out() == set(files) - {changed}
