"""The tracer of this process: spans of the events' traces, if a collector is configured.

The receipt's span is the parent of every later stage's span. Its `traceparent` travels in Kafka's
headers and is stored in the row, so a stage that repeats its work stores the same value again. A
range of events is one workflow with its own trace. That trace is always sampled, because ranges are
few, and each event's span links to it.
"""

from payment_pipeline.settings import Settings

from .silent_tracer import Tracer

_tracer = Tracer()


def configure(service: str, settings: Settings) -> None:
    """Trace this process, if the settings name a collector."""
    global _tracer  # noqa: PLW0603 - one a process, as with logs and metrics
    if not settings.otlp_endpoint:
        return
    from .otlp import OtlpTracer  # the SDK is slow to import: only a process that traces loads it

    _tracer = OtlpTracer(f"payments-{service}", settings.otlp_endpoint, settings.trace_ratio)


def tracer() -> Tracer:
    """Return the tracer of this process. Do not keep it: `configure` replaces it."""
    return _tracer


def close() -> None:
    """Send the spans that are not sent yet, for a few seconds at most, and trace no more."""
    global _tracer
    _tracer, last = Tracer(), _tracer
    last.close()
