"""Where is an event's time spent? Spans of its trace, where somebody collects them; else nothing.

The receipt's span is the parent of every later stage's: its `traceparent` travels in Kafka's
headers and stays in the row, so that a stage which repeats its work stores the same again. A range
of events is one workflow and so a trace of its own, always sampled, for ranges are few and each
event's span links to theirs.

Attributes are ids, counts and classes: never a body, and nothing of a person.
"""

from collections.abc import Mapping
from time import perf_counter, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from payment_pipeline.settings import Settings

from .traceparent import child_of

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer as OtelTracer

Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Span:
    """A request that is being answered; this one is told to nobody."""

    recording = False
    """Ask before making attributes."""
    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        """`traceparent` is what is handed on."""
        self.traceparent = traceparent

    def __enter__(self) -> "Span":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """The end of the span."""

    def tell(self, attributes: Attributes, *, failed: bool = False) -> None:
        """What became of it; `failed` if that is our fault."""


class Tracer:
    """Tells nobody: what a process has while nobody collects."""

    recording = False
    """Ask before making spans of a batch's events."""

    def serve(self, name: str, traceparent: str | None, began_s: float) -> Span:
        """The span of a request that began at `began_s` of `perf_counter`; a context manager."""
        del name, began_s
        return Span(child_of(traceparent))

    def record(
        self,
        name: str,
        traceparent: str | None,
        began_ns: int,
        attributes: Attributes,
        *,
        failed: bool = False,
    ) -> None:
        """One event's span from `began_ns` (Unix) until now; nothing if its trace isn't sampled."""

    def here(self) -> str | None:
        """The traceparent of the span that this task is in, for a request to another service."""
        return None

    def otel(self) -> "OtelTracer | None":
        """For a library that makes its own spans."""
        return None

    def close(self) -> None:
        """Send what isn't sent."""


_tracer = Tracer()


def configure(service: str, settings: Settings) -> None:
    """Trace this process, if the settings name a collector."""
    global _tracer  # noqa: PLW0603 - one a process, as with logs and metrics
    if not settings.otlp_endpoint:
        return
    from .otlp import OtlpTracer  # what it costs to import, only who traces pays

    _tracer = OtlpTracer(f"payments-{service}", settings.otlp_endpoint, settings.trace_ratio)


def tracer() -> Tracer:
    """This process's; ask at each use, since it is chosen when the process starts."""
    return _tracer


def close() -> None:
    """Send what isn't sent, for a few seconds at most, and trace no more."""
    global _tracer
    _tracer, last = Tracer(), _tracer
    last.close()


def unix_ns(moment_s: float) -> int:
    """A moment of `perf_counter` as Unix time in nanoseconds."""
    return time_ns() - int((perf_counter() - moment_s) * 1e9)
