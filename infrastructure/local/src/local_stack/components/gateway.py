"""The gateway: takes the providers' webhooks."""

from typing import Final

from local_stack import signing_secrets
from local_stack.component import stage

COMPONENT: Final = stage(
    "gateway",
    order=40,
    port="gateway_port",
    needs=("kafka",),
    secrets=signing_secrets.NAMES,
    generated_secrets=signing_secrets.NAMES,
)
