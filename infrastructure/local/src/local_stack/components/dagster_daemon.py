"""Dagster's daemon: runs the schedules, the sensors and the queue of runs."""

from typing import Final

from local_stack import dagster
from local_stack.component import LAKEHOUSE, Component

COMPONENT: Final = Component(
    name="dagster-daemon",
    order=130,
    command=lambda _settings: dagster.command("daemon"),
    ready=dagster.daemon_ready,
    address=dagster.address,
    # Its first tick loads and queries the lake.
    needs=("dagster-webserver", "trino"),
    group=LAKEHOUSE,
    prepare=lambda settings, _work: dagster.prepare_daemon(settings),
    secrets=dagster.STORAGE_SECRETS,
    memory_mib=lambda _settings: 384,
    disk_mib=128,
    ready_wait_s=180,
)
