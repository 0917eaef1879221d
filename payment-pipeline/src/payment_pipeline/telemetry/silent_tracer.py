"""The interface of a span and a tracer; these two record nothing.

Attributes are ids, counts and classes: never a body, and nothing that is personal data.
"""

from collections.abc import Mapping
from time import perf_counter, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from .traceparent import child_of

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer as OtelTracer

Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Span:
    """The span of a request that is being answered; this class sends it nowhere."""

    recording = False
    """True if attributes are kept. Ask before you compute them."""
    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        """Keep the `traceparent` that the next stage gets."""
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

    def set_attributes(self, attributes: Attributes, *, failed: bool = False) -> None:
        """Add attributes; `failed` marks a fault of this process."""


class Tracer:
    """A tracer that records nothing, for a process without a collector."""

    recording = False
    """True if spans are kept. Ask before you make one span for each event of a batch."""

    def serve(self, name: str, traceparent: str | None, began_s: float) -> Span:
        """Return the span of a request, as a context manager; `began_s` is of `perf_counter`."""
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
        """Record an event's span from `began_ns` (Unix) until now, if its trace is sampled."""

    def current_traceparent(self) -> str | None:
        """Return the traceparent of the current task's span, for a request to another service."""
        return None

    def otel(self) -> "OtelTracer | None":
        """Return the OpenTelemetry tracer, for a library that makes its own spans."""
        return None

    def close(self) -> None:
        """Send the spans that are not sent yet."""


def unix_ns(moment_s: float) -> int:
    """Convert a moment of `perf_counter` to Unix time in nanoseconds."""
    return time_ns() - int((perf_counter() - moment_s) * 1e9)
