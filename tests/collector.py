"""A collector of spans for tests: takes OTLP over HTTP, keeps what came, hands it out by trace."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Kept:
    """A span as it came over the wire; ids in hex."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]
    links: tuple[str, ...]
    """The trace ids that it links to."""
    failed: bool
    duration_s: float
    raw: str
    """All of it as text."""


@dataclass
class Collector:
    """Every span that came."""

    spans: list[Kept] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def trace(self, trace_id: str, complete: Callable[[list[Kept]], bool]) -> list[Kept]:
        """The spans of a trace, as soon as they are complete."""

        def found() -> list[Kept]:
            return [span for span in self.spans if span.trace_id == trace_id]

        async with asyncio.timeout(PATIENCE_S), self.came:
            await self.came.wait_for(lambda: complete(found()))
        return found()

    async def take(self, request: web.Request) -> web.Response:
        """One export."""
        given = ExportTraceServiceRequest.FromString(await request.read())
        async with self.came:
            self.spans += [
                _kept(resource.resource, span)
                for resource in given.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
            self.came.notify_all()
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )


@asynccontextmanager
async def collector(port: int) -> AsyncIterator[Collector]:
    """Listen on a port of loopback."""
    kept = Collector()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes([web.post("/v1/traces", kept.take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield kept
    finally:
        await runner.cleanup()


def _kept(resource: Resource, span: Span) -> Kept:
    attributes = {each.key: _text(each.value) for each in span.attributes}
    about = {each.key: _text(each.value) for each in resource.attributes}
    return Kept(
        service=about["service.name"],
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=attributes,
        links=tuple(link.trace_id.hex() for link in span.links),
        failed=span.status.code == 2,
        duration_s=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        raw=str(span),
    )


def _text(value: AnyValue) -> str:
    return str(getattr(value, value.WhichOneof("value") or "string_value"))
