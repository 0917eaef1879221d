"""When do new rows reach the lake and the marts? Each minute that has any."""

import time
from typing import Final

import dagster as dg

from orchestration_dagster.dbt_manifest import VERSION
from orchestration_dagster.defs.lake.load_assets import HORIZON_AGE_S_MAX
from orchestration_dagster.defs.marts.dbt_build import MODELS, UNAFFECTED_BY_LOADS
from orchestration_dagster.lake.compare import any_waiting
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.naming import HORIZON_CHECKS, LAKE_KEYS, MARTS
from orchestration_dagster.settings_resource import PipelineSettings

EVERY_S: Final = 60.0
"""From one start to the next; a run that takes longer is followed at once."""
POLL_S: Final = 5
HEARTBEAT_S: Final = 900.0
"""A load that finds nothing still proves that it can be made: freshness hangs on it."""

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


@dg.sensor(
    job=micro_batch,
    minimum_interval_seconds=POLL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every minute that bronze has something new, and each quarter of an hour.",
)
def every_minute(
    context: dg.SensorEvaluationContext, settings: PipelineSettings
) -> dg.RunRequest | dg.SkipReason:
    """A run when a row waits; never two at a time.

    Also for a row that a transaction has long held back: a load can't take it, but its check warns.

    No schedule: its ticks fall into the runs, and what has just missed one would wait for the tick
    after the next.
    """
    last = next(
        iter(context.instance.get_run_records(dg.RunsFilter(job_name=micro_batch.name), limit=1)),
        None,
    )
    if last is None:
        return _run(everything=True, instance=context.instance)
    if not last.dagster_run.is_finished:
        return dg.SkipReason("The last one is still under way.")
    age_s = time.time() - last.create_timestamp.timestamp()
    if age_s < EVERY_S:
        return dg.SkipReason("The last one has only just begun.")
    if age_s < HEARTBEAT_S and not any_waiting(settings.load(), list(TABLES), HORIZON_AGE_S_MAX):
        return dg.SkipReason("Bronze has nothing new.")
    return _run(everything=not last.dagster_run.is_success, instance=context.instance)


def _run(instance: dg.DagsterInstance, *, everything: bool) -> dg.RunRequest:
    """What a load changes, and of the rest what this project has not built yet.

    After a failure everything: what stood may have been dropped behind Dagster's back.
    """
    built = instance.get_latest_materialization_code_versions(UNAFFECTED_BY_LOADS)
    stands = {key for key, version in built.items() if version == VERSION and not everything}
    return dg.RunRequest(
        asset_selection=[*LAKE_KEYS, *sorted(MODELS - stands)],
        asset_check_keys=list(HORIZON_CHECKS),
    )
