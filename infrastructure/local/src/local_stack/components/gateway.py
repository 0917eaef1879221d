"""The gateway: receives webhooks and writes them to Kafka."""

from typing import Final

from local_stack import signing_secrets
from local_stack.component import Component
from local_stack.python_service import address_of, command_of, readiness_at

_address = address_of("gateway_port")

COMPONENT: Final = Component(
    name="gateway",
    order=40,
    command=command_of("payment_pipeline.gateway"),
    ready=readiness_at(_address),
    address=_address,
    ports=("gateway_port",),
    needs=("kafka",),
    secrets=signing_secrets.NAMES,
    generated_secrets=signing_secrets.NAMES,
)
