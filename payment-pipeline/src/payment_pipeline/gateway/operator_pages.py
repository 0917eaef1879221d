"""The application of the gateway's second port: probes, metrics and the OpenAPI document.

The first port faces the internet and serves only webhooks (`gateway_app`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from payment_pipeline.telemetry import metrics_page

from . import answers
from .answers import Answer
from .openapi import response_of, webhook_operation
from .publisher import Publisher
from .webhook import PREFIX

READINESS_S: Final = 1.0
"""How long readiness is cached. Kafka is asked at most once in this time."""

FORWARDED: Final = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"))
"""Headers that proxies add. A request with one of them comes from outside."""

DESCRIPTION: Final = """
Takes signed payment webhooks. Answers 200 only if the event is on every in-sync replica of Kafka.

After a 503, a 408 or no answer, it is *unknown* if the event is stored. Send it again: a duplicate
changes nothing. Every error is a problem (RFC 9457), and its `code` names the case.
"""


class OperatorPages(FastAPI):
    """The ASGI application for operators, Prometheus and orchestrators."""

    def __init__(self, publisher: Publisher, topics: frozenset[str]) -> None:
        """The gateway is ready if every partition of `topics` has a leader."""
        super().__init__(
            title="Payment gateway",
            version="1",
            description=DESCRIPTION,
            # These pages would load foreign scripts.
            docs_url=None,
            redoc_url=None,
        )
        _add_probes(self, Readiness(publisher, topics))
        self.add_exception_handler(404, _always(answers.NO_PAGE))
        self.add_exception_handler(405, _always(answers.PROBE_METHOD))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a page. A request gets 404 if it comes through a proxy, that is from outside."""
        if scope["type"] == "http" and not FORWARDED.isdisjoint(dict(scope["headers"])):
            await _response(answers.NO_PAGE)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """FastAPI's document with the webhook route of the other port."""
        document = super().openapi()
        document["paths"][f"{PREFIX}{{provider}}"] = {"post": webhook_operation()}
        return document


class Readiness:
    """Readiness, which asks Kafka at most once in `READINESS_S`."""

    def __init__(self, publisher: Publisher, topics: frozenset[str]) -> None:
        self._publisher = publisher
        self._topics = topics
        self._asking = asyncio.Lock()
        self._known_until = 0.0
        self._ready = False

    async def __call__(self) -> bool:
        """True if Kafka could store an event, at most `READINESS_S` ago."""
        async with self._asking:
            if monotonic() >= self._known_until:
                self._ready = await self._publisher.is_ready(self._topics)
                self._known_until = monotonic() + READINESS_S
            return self._ready


def _response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.start["headers"]}
    return Response(answer.body["body"], answer.status, headers)


def _always(answer: Answer) -> Callable[[Request, Exception], Awaitable[Response]]:
    """A handler that answers an error of FastAPI with one of the gateway's answers."""

    async def refuse(_request: Request, _refusal: Exception) -> Response:
        return _response(answer)

    return refuse


def _add_probes(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/livez", response_class=PlainTextResponse, tags=["probes"])
    async def livez() -> str:
        """Liveness: the process answers. It ignores Kafka, because a restart fixes no outage."""
        return "ok\n"

    @app.get(
        "/readyz",
        response_class=PlainTextResponse,
        tags=["probes"],
        responses={503: response_of([answers.NOT_READY])},
    )
    async def readyz() -> Response:
        """Readiness: the gateway is connected to Kafka, and every partition has a leader."""
        if await readiness():
            return PlainTextResponse("ready\n")
        return _response(answers.NOT_READY)

    @app.get("/metrics", response_class=PlainTextResponse, tags=["probes"])
    async def prometheus() -> Response:
        """The metrics in Prometheus' text format."""
        page, content_type = metrics_page()
        return Response(page, media_type=content_type)
