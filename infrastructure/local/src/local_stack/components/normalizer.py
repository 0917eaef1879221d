"""The normalizer: turns raw webhooks into payment events."""

from typing import Final

from local_stack.component import stage

COMPONENT: Final = stage(
    "normalizer",
    order=50,
    port="normalizer_metrics_port",
    needs=("kafka",),
    secrets=("pseudonym_key",),
    generated_secrets=("pseudonym_key",),
)
