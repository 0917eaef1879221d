"""Serves the stand-in of the provider's API over HTTP, on a loopback address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from payment_pipeline.domain.failures import UserError

from .provider_api import SimulatedApi


@asynccontextmanager
async def serving(api: SimulatedApi, host: str, port: int) -> AsyncIterator[str]:
    """Serve the API until the block ends; yield its base URL.

    Args:
        api: answers the requests.
        host: a loopback address.
        port: 0 for a free one.

    Raises:
        UserError: the port is taken.
    """

    async def answer(request: web.Request) -> web.Response:
        reply = api.reply(request.path, dict(request.query), request.headers)
        return web.Response(
            status=reply.status,
            body=orjson.dumps(reply.body),
            headers={**reply.headers, "Content-Type": "application/json"},
        )

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        try:
            await site.start()
        except OSError as refusal:
            raise UserError(
                f"The API can't listen on {host}:{port}: {refusal.strerror}. Give another --port."
            ) from None
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
