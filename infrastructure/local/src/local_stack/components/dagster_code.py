"""Dagster's code server: loads the definitions once, and starts the runs."""

from typing import Final

from local_stack import dagster
from local_stack.component import LAKEHOUSE, Component

COMPONENT: Final = Component(
    name="dagster-code",
    order=110,
    command=lambda _settings: dagster.command("code"),
    ready=dagster.code_ready,
    address=lambda settings: str(dagster.code_socket(settings)),
    needs=("postgres",),
    group=LAKEHOUSE,
    prepare=lambda settings, _work: dagster.prepare(settings),
    # The runs are dbt's and the hourly audit's, which reads as `payments audit` does.
    secrets=(
        *dagster.STORAGE_SECRETS,
        *dagster.LAKE_SECRETS,
        "trino_password",
        "postgres_reader_password",
    ),
    memory_mib=lambda _settings: 512,
    disk_mib=256,
    ready_wait_s=180,
    # The code server ends its runs at the stop signal, but never itself.
    stop_wait_s=5,
)
