"""Assembles and serves one gateway process, and stops it without dropping a request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import structlog
import uvicorn

from payment_pipeline import providers, telemetry
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.topics import DLQ_WEBHOOKS, raw
from payment_pipeline.settings import Settings

from . import gateway_metrics, live_secrets, protocol
from .gateway_app import Gateway
from .operator_pages import OperatorPages
from .publisher import Publisher
from .webhook import Webhooks

KEEP_ALIVE_S: Final = 30
"""How long a connection may be idle between two requests."""
DRAIN_S: Final = 5
"""How long a stop waits for the open requests: longer than the gateway's deadline."""
BACKLOG: Final = 1024
PAGES_CONNECTIONS_MAX: Final = 64
"""Connections to the second port. Above it the answer is 503."""
_QUIET: Final[dict[str, Any]] = {
    "ws": "none",
    "lifespan": "off",
    "log_config": None,  # the telemetry package configures logs
    "access_log": False,  # metrics count requests; a log line costs more than the signature check
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
}

log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, and then answers the open requests.

    Raises:
        UserError: no provider has a signing secret, or a port is in use.
    """
    found = providers.providers()
    secrets = live_secrets.load(found, settings)
    listener = _listen(settings.host, settings.gateway_port, "PAYMENTS_GATEWAY_PORT")
    pages_listener = _listen(
        settings.host, settings.gateway_metrics_port, "PAYMENTS_GATEWAY_METRICS_PORT"
    )
    async with Publisher(settings) as publisher:
        served = (raw(name, part) for name in secrets for part in found[name].resources)
        pages = OperatorPages(publisher, frozenset((DLQ_WEBHOOKS, *served)))
        gateway_metrics.UNACKNOWLEDGED.set_function(lambda: publisher.unacknowledged)
        gateway_metrics.UNACKNOWLEDGED_MAX.set(settings.gateway_in_flight_max)
        gateway_metrics.UNACKNOWLEDGED_BYTES.set_function(lambda: publisher.unacknowledged_bytes)
        app = Gateway(Webhooks(settings, found, secrets, publisher))
        server = uvicorn.Server(_config(app, settings))
        async with (
            _serving(pages, pages_listener),
            _background(live_secrets.watch(secrets.values())),
            _background(protocol.sweep(server.server_state, settings.gateway_read_s_max)),
        ):
            telemetry.calm_collector()
            log.info(
                "serving", host=settings.host, port=settings.gateway_port, providers=[*secrets]
            )
            await server.serve(sockets=[listener])
    log.info("stopped")


def _config(app: Gateway, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol.bounded(settings),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=BACKLOG,
        **_QUIET,
    )


class _PagesServer(uvicorn.Server):
    """A server that leaves the signals of the process to the gateway's server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures no signal."""
        yield


@asynccontextmanager
async def _serving(pages: OperatorPages, listener: socket.socket) -> AsyncIterator[None]:
    """Serves the pages until the block ends."""
    server = _PagesServer(
        uvicorn.Config(
            pages,
            http="h11",  # it limits the size of a request's head
            limit_concurrency=PAGES_CONNECTIONS_MAX,
            timeout_graceful_shutdown=1,
            **_QUIET,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _listen(host: str, port: int, variable: str) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise UserError(
            f"The gateway can't listen on {host}:{port}: {error.strerror}. Stop the program that "
            f"uses the port, or set {variable}."
        ) from error


@asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
