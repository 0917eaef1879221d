"""Dagster's daemon: runs the schedules, the sensors and the queue of runs.

`python -m local_stack.components.dagster_daemon` becomes the daemon.
"""

from typing import Final

import psycopg

from local_stack import dagster
from local_stack.component import LAKEHOUSE, Component, Work
from local_stack.python_service import command_of
from payment_pipeline.settings import Settings, load

HEALTH: Final = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"


def prepare(settings: Settings, _work: Work) -> None:
    """Delete the last daemon's heartbeats, which would pass for those of the new one."""
    with psycopg.connect(settings.dagster_storage, autocommit=True) as storage:
        storage.execute("DELETE FROM daemon_heartbeats")


async def ready(settings: Settings) -> bool:
    """Whether every daemon that the instance requires has sent a heartbeat."""
    found = (await dagster.ask(settings, HEALTH)).get("instance", {})
    statuses = found.get("daemonHealth", {}).get("allDaemonStatuses", [])
    return bool(statuses) and all(each["healthy"] for each in statuses if each["required"])


def main() -> None:
    """Become the daemon."""
    settings = load()
    workspace = str(dagster.workspace_path(settings))
    dagster.become(settings, ["dagster._daemon", "run", "--workspace", workspace])


COMPONENT: Final = Component(
    name="dagster-daemon",
    order=130,
    command=command_of("local_stack.components.dagster_daemon"),
    ready=ready,
    address=dagster.address,
    # Its first tick starts loads and queries.
    needs=("dagster-webserver", "trino"),
    prepare=prepare,
    group=LAKEHOUSE,
    secrets=dagster.STORAGE_SECRETS,
    memory_mib=384,
    disk_mib=128,
    ready_wait_s=180,
)

if __name__ == "__main__":
    main()
