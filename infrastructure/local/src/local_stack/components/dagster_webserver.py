"""Dagster's web server: the UI and the GraphQL API."""

from typing import Final

from local_stack import dagster
from local_stack.component import LAKEHOUSE, Component

COMPONENT: Final = Component(
    name="dagster-webserver",
    order=120,
    command=lambda _settings: dagster.command("webserver"),
    ready=dagster.webserver_ready,
    address=dagster.address,
    ports=("dagster_port",),
    needs=("dagster-code",),
    group=LAKEHOUSE,
    secrets=dagster.STORAGE_SECRETS,
    memory_mib=lambda _settings: 384,
    ready_wait_s=180,
)
