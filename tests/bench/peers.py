"""The peers of the gateway's benchmark: a bare FastAPI route and a raw ASGI endpoint.

`python tests/bench/peers.py bare_fastapi 8100` serves one peer. Each runs as the gateway does: one
process, uvicorn with uvloop and httptools, no access log.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final, cast

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from payment_pipeline.adapters import kafka
from payment_pipeline.domain import topics
from payment_pipeline.providers import Envelope, Verified
from payment_pipeline.providers.stripe import PROVIDER
from payment_pipeline.settings import load

SECRET: Final = os.environ.get("BENCH_SECRET", "")
OK: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"0")],
}
EMPTY: Final = {"type": "http.response.body", "body": b""}


def bare_fastapi() -> ASGIApp:
    """Return an ordinary FastAPI application that reads the body and answers 200."""
    app = FastAPI()

    @app.post("/webhooks/stripe")
    async def webhook(request: Request) -> Response:
        await request.body()
        return Response(status_code=200)

    return app


class RawAsgi:
    """An endpoint that verifies, routes and produces as the gateway does, and nothing more.

    It has no limits, deadlines, record headers, metrics or error answers.
    """

    def __init__(self) -> None:
        self._producer: AIOKafkaProducer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["method"] != "POST":  # the readiness check of the benchmark
            await send(OK)
            await send(EMPTY)
            return
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        signature = dict(scope["headers"])[b"stripe-signature"].decode()
        verified = PROVIDER.verify(body, signature, (SECRET,), time.time(), 300)
        event = PROVIDER.read(body)
        assert isinstance(verified, Verified)
        assert isinstance(event, Envelope)
        assert self._producer is not None
        topic = topics.raw(PROVIDER.name, event.resource)
        await self._producer.send_and_wait(topic, body, event.key.encode())
        await send(OK)
        await send(EMPTY)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with kafka.producer(load()) as self._producer:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    """Serve the peer that the command line names."""
    name, port = sys.argv[1], int(sys.argv[2])
    served: dict[str, Callable[[], ASGIApp]] = {"bare_fastapi": bare_fastapi, "raw_asgi": RawAsgi}
    uvicorn.run(
        cast("Any", served[name]()),
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
