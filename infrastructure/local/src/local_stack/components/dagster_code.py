"""Dagster's code server: loads the definitions, and starts the runs.

`python -m local_stack.components.dagster_code` becomes the server.
"""

import socket
from typing import Final

from local_stack import client_secrets, dagster, kafka_users
from local_stack.component import LAKEHOUSE, Component
from local_stack.dagster import CODE, code_socket
from local_stack.python_service import command_of
from payment_pipeline.adapters.trino import dbt_environment
from payment_pipeline.catalog_settings import secret_of
from payment_pipeline.settings import Settings, load


async def ready(settings: Settings) -> bool:
    """Whether the code is loaded. The server listens only then."""
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(code_socket(settings))) == 0


def main() -> None:
    """Become the code server."""
    settings = load()
    dagster.become(
        settings,
        [
            "dagster", "api", "grpc",
            "--socket", str(code_socket(settings)),
            "--module-name", CODE,
            "--location-name", CODE,
            "--use-python-environment-entry-point",
        ],
        dbt_environment(settings),
    )  # fmt: skip


COMPONENT: Final = Component(
    name="dagster-code",
    order=110,
    command=command_of("local_stack.components.dagster_code"),
    ready=ready,
    address=lambda settings: str(code_socket(settings)),
    needs=("postgres",),
    # Its runs load and transform the lake, and check the ledger.
    uses=("kafka", "temporal", "seaweedfs", "trino"),
    prepare=lambda settings, _work: dagster.prepare(settings),
    group=LAKEHOUSE,
    # Its runs are dbt's, the loads, and the hourly ledger check, which reads as the audit does.
    own_settings=kafka_users.logs_in_as("ledger"),
    secrets=(
        *dagster.STORAGE_SECRETS,
        *dagster.LAKE_SECRETS,
        secret_of("maintenance"),
        "trino_password",
        "postgres_reader_password",
        *client_secrets.KAFKA,
        *client_secrets.TEMPORAL,
    ),
    memory_mib=512,
    disk_mib=256,
    ready_wait_s=180,
    # The server ends its runs at the signal, and never ends itself.
    stop_wait_s=5,
)

if __name__ == "__main__":
    main()
