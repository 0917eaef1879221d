"""A tracer that sends spans to a collector, in batches over OTLP/HTTP, by OpenTelemetry's SDK.

The SDK itself reads the other standard variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_*`,
`OTEL_RESOURCE_ATTRIBUTES`, …). A slow or absent collector costs spans and never an event: the queue
is bounded, and spans that do not fit are dropped.
"""

from importlib.metadata import version
from threading import Timer
from types import TracebackType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Tracer as OtelTracer

from .silent_tracer import Attributes, Span, Tracer, unix_ns
from .traceparent import child_of, is_sampled, trace_id

CLOSE_S_MAX: Final = 3.0
"""How long a stop waits for the last spans: less than a supervisor waits for the process."""
_FAILED: Final = Status(StatusCode.ERROR)


class OtlpTracer(Tracer):
    """Sends the spans of sampled traces to a collector."""

    recording = True

    def __init__(self, service: str, endpoint: str, ratio: float) -> None:
        """Connect to the collector at the base URL `endpoint`.

        `ratio` (0 to 1) of the served requests is sampled. This is the SDK's parent-based ratio,
        but decided before the SDK is called: a span that the SDK drops costs an eighth of a
        webhook. A trace that a library begins is always sampled.
        """
        about = {"service.name": service, "service.version": version("payment-pipeline")}
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON),
            resource=Resource.create(about),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("payment_pipeline")
        self._sampled_below = round(ratio * 2**64)

    def serve(self, name: str, traceparent: str | None, began_s: float) -> Span:
        """Return a server's span; an invalid traceparent starts a new trace."""
        child = child_of(traceparent)
        new = trace_id(traceparent) is None
        sampled = int(child[19:35], 16) < self._sampled_below if new else is_sampled(traceparent)
        if not sampled:
            return Span(f"{child[:53]}00")
        return _Served(
            self._tracer.start_span(
                name, _parent(traceparent), kind=SpanKind.SERVER, start_time=unix_ns(began_s)
            )
        )

    def record(
        self,
        name: str,
        traceparent: str | None,
        began_ns: int,
        attributes: Attributes,
        *,
        failed: bool = False,
    ) -> None:
        """Record a consumer's span, with a link to the current task's span."""
        if not is_sampled(traceparent):
            return
        around = get_current_span().get_span_context()
        span = self._tracer.start_span(
            name,
            _parent(traceparent),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=(Link(around),) if around.is_valid else (),
            start_time=began_ns,
        )
        if failed:
            span.set_status(_FAILED)
        span.end()

    def current_traceparent(self) -> str | None:
        """Return the current task's traceparent; None outside of any span."""
        around = get_current_span().get_span_context()
        return _traceparent(around) if around.is_valid else None

    def otel(self) -> OtelTracer:
        """Return the tracer of the SDK."""
        return self._tracer

    def close(self) -> None:
        """Send the last spans; give up after `CLOSE_S_MAX` if the collector does not answer."""
        patience = Timer(CLOSE_S_MAX, self._exporter.shutdown)
        patience.daemon = True
        patience.start()
        self._provider.shutdown()
        patience.cancel()


class _Served(Span):
    """A span that is sent to the collector, if its trace is sampled."""

    __slots__ = ("_span", "recording")

    def __init__(self, span: OtelSpan) -> None:
        super().__init__(_traceparent(span.get_span_context()))
        self._span = span
        self.recording = span.is_recording()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Record the class of an exception, not its text, which may quote the body."""
        del error, frames
        if kind is not None:
            self.set_attributes({"error.type": kind.__name__}, failed=True)
        self._span.end()

    def set_attributes(self, attributes: Attributes, *, failed: bool = False) -> None:
        """Add attributes; `failed` marks a fault of this process."""
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(_FAILED)


def _parent(traceparent: str | None) -> Context:
    """Return the context to start a span in: never the current task's."""
    if traceparent is None or trace_id(traceparent) is None:
        return Context()
    remote = SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:], 16)),
    )
    return set_span_in_context(NonRecordingSpan(remote), Context())


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
