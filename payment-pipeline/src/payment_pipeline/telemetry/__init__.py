"""Logs, metrics, traces and probes of every process, and the frame in which a process runs.

Each module defines its metrics with `prometheus_client` at import; `metrics_page` renders them all.
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
"""Histogram buckets of every latency. All stages share them, so that all panels have one axis."""
