"""The worker: runs the workflows and their activities."""

from typing import Final

from local_stack.component import stage

COMPONENT: Final = stage(
    "worker",
    order=70,
    port="worker_metrics_port",
    needs=("postgres", "kafka", "temporal"),
    module="payment_pipeline.orchestrator.worker",
    secrets=("postgres_dsn", "postgres_worker_password"),
)
