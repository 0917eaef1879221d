"""Liveness, readiness and metrics of a process over HTTP."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from payment_pipeline.domain.failures import UserError


def metrics_page() -> tuple[bytes, str]:
    """Return all metrics of this process in Prometheus' text format, and the content type."""
    return generate_latest(), CONTENT_TYPE_LATEST


@asynccontextmanager
async def serve_probes(port: int, host: str, ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve `/livez`, `/readyz` and `/metrics` for a stage that has no HTTP server.

    Raises:
        UserError: the port cannot be used.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        up = ready()
        return web.Response(text="ready\n" if up else "not ready\n", status=200 if up else 503)

    async def metrics(_: web.Request) -> web.Response:
        page, content_type = metrics_page()
        return web.Response(body=page, headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UserError(
                f"Port {port} on {host} can't be used: {error.strerror}. Choose another port."
            ) from error
        yield
    finally:
        await runner.cleanup()
