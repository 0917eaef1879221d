"""The gateway's HTTP surface: the webhook route, the probes, the metrics, and what they mean."""

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
from .webhook import PREFIX, Webhooks

READINESS_S: Final = 1.0
"""How long readiness is remembered: however often it is asked, Kafka is asked once a second."""

FORWARDED: Final = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"))
"""What proxies add: a request with one of these comes from outside."""

DESCRIPTION: Final = """
Takes signed payment webhooks, and answers 200 only when they are on every in-sync replica of Kafka.

A 503, a 408 or no answer at all means *unknown*: send the event again; a duplicate does no harm.
Every error is a problem (RFC 9457) whose `code` names the case.
"""


class Gateway(FastAPI):
    """FastAPI for everything but the webhooks, which are ASGI of their own beside it."""

    def __init__(self, webhooks: Webhooks, publisher: Publisher, topics: frozenset[str]) -> None:
        """Readiness means that the broker leads every partition of `topics`."""
        super().__init__(
            title="Payment gateway",
            version="1",
            description=DESCRIPTION,
            # Pages that load scripts from elsewhere, on the port that faces the internet.
            docs_url=None,
            redoc_url=None,
        )
        self._webhooks = webhooks
        _add_probes(self, Readiness(publisher, topics))
        self.add_exception_handler(404, _always(answers.NOT_FOUND))
        self.add_exception_handler(405, _always(answers.PROBE_METHOD))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the hot path past FastAPI's middleware, which it has no use for.

        The rest is for who runs the gateway: behind a proxy that forwards everything, the internet
        still gets the webhooks alone.
        """
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self._webhooks(scope, receive, send)
        elif scope["type"] == "http" and not FORWARDED.isdisjoint(dict(scope["headers"])):
            await _response(answers.NOT_FOUND)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """FastAPI's document, with the route that FastAPI doesn't know."""
        document = super().openapi()
        document["paths"][f"{PREFIX}{{provider}}"] = {"post": webhook_operation()}
        return document


class Readiness:
    """Asks Kafka, at most once in `READINESS_S`."""

    def __init__(self, publisher: Publisher, topics: frozenset[str]) -> None:
        self._publisher = publisher
        self._topics = topics
        self._asking = asyncio.Lock()
        self._known_until = 0.0
        self._ready = False

    async def __call__(self) -> bool:
        """Whether an event sent now would be stored, as of `READINESS_S` ago at most."""
        async with self._asking:
            if monotonic() >= self._known_until:
                self._ready = await self._publisher.is_ready(self._topics)
                self._known_until = monotonic() + READINESS_S
            return self._ready


def _response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.start["headers"]}
    return Response(answer.body["body"], answer.status, headers)


def _always(answer: Answer) -> Callable[[Request, Exception], Awaitable[Response]]:
    """A handler of FastAPI's refusals, which would otherwise be JSON of its own."""

    async def refuse(_request: Request, _refusal: Exception) -> Response:
        return _response(answer)

    return refuse


def _add_probes(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/livez", response_class=PlainTextResponse, tags=["probes"])
    async def livez() -> str:
        """Whether the process answers. Never touches Kafka: its outage is no reason to restart."""
        return "ok\n"

    @app.get(
        "/readyz",
        response_class=PlainTextResponse,
        tags=["probes"],
        responses={503: response_of([answers.NOT_READY])},
    )
    async def readyz() -> Response:
        """Whether Kafka can take an event: connected, and a leader for every partition."""
        if await readiness():
            return PlainTextResponse("ready\n")
        return _response(answers.NOT_READY)

    @app.get("/metrics", response_class=PlainTextResponse, tags=["probes"])
    async def prometheus() -> Response:
        """Everything that is counted, as Prometheus reads it."""
        page, content_type = metrics_page()
        return Response(page, media_type=content_type)
