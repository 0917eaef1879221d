"""What every process shares to be observed and run: logs, metrics, traces, probes, its run.

Metrics are `prometheus_client`'s own, made once a module at import and read by `metrics_page`.
"""

from typing import Final

from .probes import metrics_page, serve_probes
from .stage_process import calm_collector, configure, run
from .traceparent import child_of, of_event, trace_id

__all__ = [
    "LATENCY_BUCKETS_S",
    "calm_collector",
    "child_of",
    "configure",
    "metrics_page",
    "of_event",
    "run",
    "serve_probes",
    "trace_id",
]

LATENCY_BUCKETS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Histogram buckets of every latency, so that the stages' panels share one axis."""
