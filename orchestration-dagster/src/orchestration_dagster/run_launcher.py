"""Is the process of a run still there? Dagster asks, and begins a run again whose process is not.

The launcher that comes with it leaves that to the code server, the parent of each run. When that
is gone too, as after `payments down` or a power cut, a run that was under way passes for started
for ever: it keeps its pools, and no other of its job begins.
"""

from datetime import timedelta
from typing import Final

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

CLOCKS_DIFFER: Final = timedelta(seconds=5)
"""At most, between when a process began and the events that it writes."""


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's, for a daemon on the same machine as the runs."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Ask it, every `run_monitoring.poll_interval_seconds`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Of a run that has started, whether the process that said so is still there."""
        started = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)[0]
        pid = started.get_dagster_event().pid
        if pid and _began_before(pid, started.timestamp + CLOCKS_DIFFER.total_seconds()):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid} is gone")


def _began_before(pid: int, at: float) -> bool:
    """Whether there is such a process, and from before: its number may be another's by now."""
    try:
        process = psutil.Process(pid)
        # In a container without an init nobody takes notice of an orphan's end.
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < at
    except psutil.NoSuchProcess:
        return False
