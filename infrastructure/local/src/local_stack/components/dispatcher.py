"""The dispatcher: starts a workflow for each range of normalized events."""

from typing import Final

from local_stack import client_secrets, kafka_users
from local_stack.component import Component
from local_stack.python_service import address_of, command_of, readiness_at

_address = address_of("dispatcher_metrics_port")

COMPONENT: Final = Component(
    name="dispatcher",
    order=60,
    command=command_of("payment_pipeline.orchestrator.dispatcher"),
    ready=readiness_at(_address),
    address=_address,
    ports=("dispatcher_metrics_port",),
    needs=("kafka", "temporal"),
    own_settings=kafka_users.logs_in_as("dispatcher"),
    secrets=(*client_secrets.KAFKA, *client_secrets.TEMPORAL),
)
