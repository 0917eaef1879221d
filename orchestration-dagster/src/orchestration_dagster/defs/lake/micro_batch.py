"""The job that loads the lake and builds the marts, each minute that has new rows."""

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
"""The time between the starts of two runs. After a longer run the next one starts at once."""
POLL_S: Final = 5
HEARTBEAT_S: Final = 900.0
"""The longest time without a load. A load without rows proves that loads work."""

micro_batch = dg.define_asset_job(
    "micro_batch",
    # The checks that read whole tables are left out. They run hourly.
    selection=(
        dg.AssetSelection.assets(*LAKE_KEYS) | dg.AssetSelection.groups(MARTS)
    ).without_checks()
    | dg.AssetSelection.checks(*HORIZON_CHECKS),
    description="Loads bronze into the lake and builds the marts, in one run.",
    # In one process, since starting a process for each step would take longer than the steps.
    executor_def=dg.in_process_executor,
    run_tags={"dagster/max_retries": "2"},
)


@dg.sensor(
    job=micro_batch,
    minimum_interval_seconds=POLL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs each minute that bronze has new rows, and every 15 minutes.",
)
def every_minute(
    context: dg.SensorEvaluationContext, settings: PipelineSettings
) -> dg.RunRequest | dg.SkipReason:
    """Requests a run when a row waits, and never two runs at a time.

    It also requests a run when an old transaction holds a row back. The load can't take this row,
    but the load's check warns about the transaction.

    This is a sensor and not a schedule, because a tick of a schedule may fall into a run. A row
    that has just missed a load would then wait for the tick after the next one.
    """
    last = next(
        iter(context.instance.get_run_records(dg.RunsFilter(job_name=micro_batch.name), limit=1)),
        None,
    )
    if last is None:
        return _run(everything=True, instance=context.instance)
    if not last.dagster_run.is_finished:
        return dg.SkipReason("The last run has not ended yet.")
    age_s = time.time() - last.create_timestamp.timestamp()
    if age_s < EVERY_S:
        return dg.SkipReason(f"The last run started less than {EVERY_S:.0f} s ago.")
    if age_s < HEARTBEAT_S and not any_waiting(settings.load(), list(TABLES), HORIZON_AGE_S_MAX):
        return dg.SkipReason("Bronze has no new row.")
    return _run(everything=not last.dagster_run.is_success, instance=context.instance)


def _run(instance: dg.DagsterInstance, *, everything: bool) -> dg.RunRequest:
    """A run of the loads, of the models that they change, and of those not built yet.

    A model counts as built if this version of the dbt project has built it. After a failed run
    everything is built, since somebody may have dropped a table without Dagster.
    """
    built = instance.get_latest_materialization_code_versions(UNAFFECTED_BY_LOADS)
    up_to_date = {key for key, version in built.items() if version == VERSION and not everything}
    return dg.RunRequest(
        asset_selection=[*LAKE_KEYS, *sorted(MODELS - up_to_date)],
        asset_check_keys=list(HORIZON_CHECKS),
    )
