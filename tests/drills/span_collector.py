"""An OTLP collector over HTTP that stores all received spans in memory for a search."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATIENCE_S: Final = 30.0
HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as the collector received it, with ids in hex."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]
    links: tuple[str, ...]
    """Trace ids of the linked spans."""
    failed: bool
    duration_s: float
    raw: str
    """The whole span and its resource as text."""


@dataclass
class Collector:
    """All spans received so far."""

    endpoint: str = ""
    """Base URL of the collector, for the setting `otlp_endpoint`."""
    spans: list[ReceivedSpan] = field(default_factory=list)
    arrival: threading.Condition = field(default_factory=threading.Condition)

    def trace(
        self, trace_id: str, complete: Callable[[list[ReceivedSpan]], bool]
    ) -> list[ReceivedSpan]:
        """Wait until the spans of a trace are complete, and return them.

        Raises:
            TimeoutError: the spans are not complete after `PATIENCE_S`.
        """

        def found() -> list[ReceivedSpan]:
            return [span for span in self.spans if span.trace_id == trace_id]

        with self.arrival:
            if not self.arrival.wait_for(lambda: complete(found()), PATIENCE_S):
                raise TimeoutError(f"Trace {trace_id} has only {[s.name for s in found()]}.")
            return found()

    def wait_for_quiet(self, quiet_s: float) -> None:
        """Return once no span has arrived for `quiet_s` seconds."""
        with self.arrival:
            while self.arrival.wait(quiet_s):
                pass

    def add(self, export: bytes) -> None:
        """Add the spans of one export request."""
        given = ExportTraceServiceRequest.FromString(export)
        with self.arrival:
            self.spans += [
                _received(resource.resource, span)
                for resource in given.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
            self.arrival.notify_all()


@contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    """Listen on a loopback port: the given one, or any free one."""
    received = Collector()

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            received.add(self.rfile.read(int(self.headers["content-length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((HOST, port), Receiver) as server:
        received.endpoint = f"http://{HOST}:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield received
        finally:
            server.shutdown()


def _received(resource: Resource, span: Span) -> ReceivedSpan:
    about = _attributes(resource)
    return ReceivedSpan(
        service=about["service.name"],
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span),
        links=tuple(link.trace_id.hex() for link in span.links),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        duration_s=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        raw=f"{resource}{span}",
    )


def _attributes(of: Resource | Span) -> dict[str, str]:
    return {each.key: _text(each.value) for each in of.attributes}


def _text(value: AnyValue) -> str:
    return str(getattr(value, value.WhichOneof("value") or "string_value"))
