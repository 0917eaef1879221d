"""When do new rows reach the lake and the marts? Each minute that has any."""

from pathlib import Path
from typing import Final

import dagster as dg

from orchestration_dagster.defs.marts.dbt import seeds
from orchestration_dagster.lake.compare import any_waiting
from orchestration_dagster.lake.tables import TABLES
from orchestration_dagster.naming import HORIZON_CHECKS, LAKE_KEYS, MARTS
from orchestration_dagster.resources import PipelineSettings

HEARTBEAT_MINUTES: Final = 15
"""A load that finds nothing still proves that it can be made: freshness hangs on it."""
UNFINISHED: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)

micro_batch = dg.define_asset_job(
    "micro_batch",
    # Without the checks that read whole tables: they have a schedule of their own.
    selection=(
        dg.AssetSelection.assets(*LAKE_KEYS) | dg.AssetSelection.groups(MARTS)
    ).without_checks()
    | dg.AssetSelection.checks(*HORIZON_CHECKS),
    description="Bronze to the lake, and from there to the marts, in one run.",
    # One process: starting another for each of some short steps would take longer than the steps.
    executor_def=dg.in_process_executor,
    run_tags={"dagster/max_retries": "2"},
)


@dg.schedule(
    cron_schedule="* * * * *",
    job=micro_batch,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every minute that bronze has something new.",
)
def every_minute(
    context: dg.ScheduleEvaluationContext, settings: PipelineSettings
) -> dg.RunRequest | dg.SkipReason:
    """A run when a row waits, and each quarter of an hour; never two at a time.

    Seeds are files: between the heartbeats they are built only when they have changed.
    """
    unfinished = dg.RunsFilter(job_name=micro_batch.name, statuses=list(UNFINISHED))
    if context.instance.get_runs(unfinished, limit=1):
        return dg.SkipReason("The last one is still under way.")
    heartbeat = context.scheduled_execution_time.minute % HEARTBEAT_MINUTES == 0
    if heartbeat:
        return dg.RunRequest()
    if not any_waiting(settings.load(), list(TABLES)):
        return dg.SkipReason("Bronze has nothing new.")
    built = {key for key, path in seeds().items() if _is_built(context.instance, key, path)}
    everything = context.repository_def.get_job(micro_batch.name).asset_layer.selected_asset_keys
    return dg.RunRequest(asset_selection=sorted(everything - built))


def _is_built(instance: dg.DagsterInstance, key: dg.AssetKey, path: Path) -> bool:
    """Whether the lakehouse has the seed as the file says."""
    event = instance.get_latest_materialization_event(key)
    return event is not None and event.timestamp > path.stat().st_mtime
