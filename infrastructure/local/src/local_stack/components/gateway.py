"""The gateway: receives webhooks and writes them to Kafka."""

from typing import Final

from local_stack import client_secrets, kafka_users, signing_secrets
from local_stack.component import Component
from local_stack.python_service import address_of, command_of, readiness_at

_address = address_of("gateway_port")
_probes = address_of("gateway_metrics_port")

COMPONENT: Final = Component(
    name="gateway",
    order=40,
    command=command_of("payment_pipeline.gateway"),
    ready=readiness_at(_probes),
    address=_address,
    ports=("gateway_port", "gateway_metrics_port"),
    needs=("kafka",),
    own_settings=kafka_users.logs_in_as("gateway"),
    secrets=(*signing_secrets.NAMES, *client_secrets.KAFKA),
    generated_secrets=signing_secrets.NAMES,
)
