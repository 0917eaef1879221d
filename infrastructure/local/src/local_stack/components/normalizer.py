"""The normalizer: turns raw events into one common form."""

from typing import Final

from local_stack import client_secrets, kafka_users
from local_stack.component import Component
from local_stack.python_service import address_of, command_of, readiness_at

_address = address_of("normalizer_metrics_port")

COMPONENT: Final = Component(
    name="normalizer",
    order=50,
    command=command_of("payment_pipeline.normalizer"),
    ready=readiness_at(_address),
    address=_address,
    ports=("normalizer_metrics_port",),
    needs=("kafka",),
    own_settings=kafka_users.logs_in_as("normalizer"),
    secrets=("pseudonym_key", *client_secrets.KAFKA),
    memory_mib=96,
    generated_secrets=("pseudonym_key",),
)
