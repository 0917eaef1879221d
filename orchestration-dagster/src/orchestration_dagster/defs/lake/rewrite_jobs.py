"""Jobs that rewrite the lake from bronze, launched by hand or as a backfill."""

from typing import Final

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration_dagster.dbt_manifest import dbt_target
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.lake.rewrite import Rewritten, reanchor, rebuild, reload_day
from orchestration_dagster.naming import MARTS, lake_key, pool
from orchestration_dagster.settings_resource import PipelineSettings
from orchestration_dagster.user_errors import user_errors_as_failures

FIRST_DAY: Final = "2026-01-01"
DAYS: Final = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, end_offset=1)
"""UTC days of insertion, including today: the partitions of the Iceberg tables."""
BACKFILL: Final = "dagster/backfill"
"""Dagster's tag with the id of the backfill that a run belongs to."""
FULL_REFRESH: Final = (
    "build",
    "--full-refresh",
    *("--exclude-resource-type", "unit_test"),
    *("--exclude-resource-type", "test"),
)


class RebuildConfig(dg.Config):
    """The options of a rebuild."""

    shrink: bool = False
    """Allows to delete rows of the lake that bronze no longer has."""


def _reload_op(table: str) -> dg.OpDefinition:
    @dg.op(name=f"reload_day_of_{table}", pool=pool(table), out=dg.Out(dg.Nothing))
    def reload(context: dg.OpExecutionContext, settings: PipelineSettings) -> None:
        day = DAYS.time_window_for_partition_key(context.partition_key).start.date()
        with user_errors_as_failures():
            _observe(context, table, reload_day(settings.load(), table, day))

    return reload


def _rebuild_op(table: str) -> dg.OpDefinition:
    @dg.op(name=f"rebuild_{table}", pool=pool(table), out=dg.Out(dg.Nothing))
    def whole(
        context: dg.OpExecutionContext, config: RebuildConfig, settings: PipelineSettings
    ) -> None:
        with user_errors_as_failures():
            _observe(context, table, rebuild(settings.load(), table, shrink=config.shrink))

    return whole


def _reanchor_op(table: str) -> dg.OpDefinition:
    @dg.op(name=f"reanchor_{table}", pool=pool(table), out=dg.Out(dg.Nothing))
    def restored(context: dg.OpExecutionContext, settings: PipelineSettings) -> None:
        with user_errors_as_failures():
            _observe(context, table, reanchor(settings.load(), table))

    return restored


_reloads, _rebuilds, _reanchors = (
    [make(table) for table in TABLES] for make in (_reload_op, _rebuild_op, _reanchor_op)
)


@dg.op(pool=MARTS, ins={"written": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def marts_anew(
    context: dg.OpExecutionContext, dbt: DbtCliResource, settings: PipelineSettings
) -> None:
    """Builds every model with `--full-refresh`, once for a whole backfill.

    Incremental models read rows from the newest transaction that they have seen. After a rewrite,
    rows may have older transactions, or the newest transaction may no longer exist.
    """
    if _backfill_goes_on(context):
        context.log.info("The last run of this backfill builds the marts.")
        return
    dbt.cli(FULL_REFRESH, target_path=dbt_target(settings.load())).wait()


@dg.job(name="reload_day", partitions_def=DAYS)
def reload_day_job() -> None:
    """Write one day of every table again from bronze, then build the marts. Takes a backfill."""
    marts_anew([op() for op in _reloads])


@dg.job(name="rebuild")
def rebuild_job() -> None:
    """Write whole tables again from bronze, then build the marts."""
    marts_anew([op() for op in _rebuilds])


@dg.job(name="reanchor")
def reanchor_job() -> None:
    """After PostgreSQL was restored or promoted: load rows that differ, then build the marts."""
    marts_anew([op() for op in _reanchors])


def _backfill_goes_on(context: dg.OpExecutionContext) -> bool:
    """Whether another run of the same backfill waits or is running."""
    backfill = context.run.tags.get(BACKFILL)
    if backfill is None:
        return False
    runs = context.instance.get_runs(dg.RunsFilter(tags={BACKFILL: backfill}))
    return any(not run.is_finished for run in runs if run.run_id != context.run_id)


def _observe(context: dg.OpExecutionContext, table: str, rewritten: Rewritten) -> None:
    context.log_event(
        dg.AssetObservation(
            lake_key(table),
            metadata={
                "rows_deleted": rewritten.deleted,
                "rows_appended": rewritten.appended,
            },
        )
    )
