"""The lake's metrics: how far the lake is behind bronze, for Prometheus."""

from typing import Final

from local_stack.component import LAKEHOUSE, stage
from local_stack.dagster import LAKE_SECRETS

COMPONENT: Final = stage(
    "lake-metrics",
    order=100,
    port="lake_metrics_port",
    needs=("postgres", "seaweedfs"),
    module="orchestration_dagster.lake.lake_metrics",
    group=LAKEHOUSE,
    secrets=LAKE_SECRETS,
    memory_mib=256,
)
