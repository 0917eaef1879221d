"""Deletes old runs of Dagster each night: each run, one a minute, leaves hundreds of events."""

from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

RUNS_KEPT: Final = timedelta(days=14)
"""Dagster keeps the sensor ticks that launched the runs for the same time."""
BATCH: Final = 100
FINISHED: Final = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)


@dg.op(out=dg.Out(dg.Nothing))
def forget(context: dg.OpExecutionContext) -> None:
    """Delete finished runs with their events and logs."""
    old = dg.RunsFilter(statuses=list(FINISHED), created_before=datetime.now(UTC) - RUNS_KEPT)
    forgotten = 0
    while found := context.instance.get_runs(old, limit=BATCH):
        for run in found:
            context.instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            context.instance.delete_run(run.run_id)
        forgotten += len(found)
    context.log.info("deleted %s old runs", forgotten)


@dg.job(executor_def=dg.in_process_executor)
def forget_old_runs() -> None:
    """Delete runs older than two weeks, with their events and logs."""
    forget()


nightly = dg.ScheduleDefinition(
    name="every_night",
    job=forget_old_runs,
    cron_schedule="57 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
