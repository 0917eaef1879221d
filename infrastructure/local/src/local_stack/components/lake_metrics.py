"""The metrics of the lake: how much of bronze still waits for a load, and for how long."""

from typing import Final

from local_stack.component import LAKEHOUSE, Component
from local_stack.dagster import LAKE_SECRETS
from local_stack.python_service import address_of, command_of, readiness_at

_address = address_of("lake_metrics_port")

COMPONENT: Final = Component(
    name="lake-metrics",
    order=100,
    command=command_of("orchestration_dagster.lake.lake_metrics"),
    ready=readiness_at(_address),
    address=_address,
    ports=("lake_metrics_port",),
    needs=("postgres", "seaweedfs"),
    group=LAKEHOUSE,
    secrets=LAKE_SECRETS,
    memory_mib=256,
)
