"""The dispatcher: starts a workflow for each range of normalized events."""

from typing import Final

from local_stack.component import stage

COMPONENT: Final = stage(
    "dispatcher",
    order=60,
    port="dispatcher_metrics_port",
    needs=("kafka", "temporal"),
    module="payment_pipeline.orchestrator.dispatcher",
)
