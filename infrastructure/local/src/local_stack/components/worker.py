"""The worker: runs the workflows that score events and write them to bronze."""

from typing import Final

from local_stack import client_secrets, kafka_users
from local_stack.component import Component
from local_stack.python_service import address_of, command_of, readiness_at

_address = address_of("worker_metrics_port")

COMPONENT: Final = Component(
    name="worker",
    order=70,
    command=command_of("payment_pipeline.orchestrator.worker"),
    ready=readiness_at(_address),
    address=_address,
    ports=("worker_metrics_port",),
    needs=("postgres", "kafka", "temporal"),
    own_settings=kafka_users.logs_in_as("worker"),
    secrets=(
        *("postgres_dsn", "postgres_worker_password", "inference_token"),
        *client_secrets.KAFKA,
        *client_secrets.TEMPORAL,
    ),
    memory_mib=160,
)
