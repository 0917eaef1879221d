"""A run launcher that detects runs whose process has ended, so that Dagster starts them again.

Dagster's default launcher asks the code server, which is the parent of each run's process. After
`payments down` or a power cut the code server is gone as well. Without this launcher, such a run
would stay in the state "started" for ever, keep its pools, and block its job.
"""

from datetime import timedelta
from typing import Final

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

CLOCKS_DIFFER: Final = timedelta(seconds=5)
"""The largest difference between a process's start time and the time of its first event."""


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher with a health check, for runs on the daemon's own machine."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: Dagster checks each run every `run_monitoring.poll_interval_seconds`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Reports whether the process that started a run still exists."""
        started = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)[0]
        pid = started.get_dagster_event().pid
        if pid and _began_before(pid, started.timestamp + CLOCKS_DIFFER.total_seconds()):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid} is gone")


def _began_before(pid: int, at: float) -> bool:
    """Whether the process exists and started before `at`; a pid may have been reused since."""
    try:
        process = psutil.Process(pid)
        # In a container without an init process, an orphan that has ended stays a zombie.
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < at
    except psutil.NoSuchProcess:
        return False
