"""Assembles and serves one gateway process, and stops it without dropping a request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
import uvicorn

from payment_pipeline import providers, telemetry
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.topics import DLQ_WEBHOOKS, raw
from payment_pipeline.settings import Settings

from . import gateway_metrics, live_secrets, protocol
from .gateway_app import Gateway
from .publisher import Publisher
from .webhook import Webhooks

KEEP_ALIVE_S: Final = 30
"""How long a connection may be idle between two requests."""
DRAIN_S: Final = 5
"""How long a stop waits for the open requests: longer than the gateway's deadline."""
BACKLOG: Final = 1024

log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, and then answers the open requests.

    Raises:
        UserError: no provider has a signing secret, or the port is in use.
    """
    found = providers.providers()
    secrets = live_secrets.load(found, settings)
    listener = _listen(settings)
    async with Publisher(settings) as publisher:
        app = Gateway(
            Webhooks(settings, found, secrets, publisher),
            publisher,
            frozenset(
                (
                    DLQ_WEBHOOKS,
                    *(raw(name, part) for name in secrets for part in found[name].resources),
                )
            ),
        )
        gateway_metrics.UNACKNOWLEDGED.set_function(lambda: publisher.unacknowledged)
        gateway_metrics.UNACKNOWLEDGED_MAX.set(settings.gateway_in_flight_max)
        gateway_metrics.UNACKNOWLEDGED_BYTES.set_function(lambda: publisher.unacknowledged_bytes)
        server = uvicorn.Server(_config(app, settings))
        async with (
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
        ws="none",
        lifespan="off",
        log_config=None,  # the telemetry package configures logs
        access_log=False,  # metrics count requests; a log line costs more than the signature check
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=BACKLOG,
    )


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.gateway_port), backlog=BACKLOG)
    except OSError as error:
        raise UserError(
            f"The gateway can't listen on {settings.host}:{settings.gateway_port}: "
            f"{error.strerror}. Stop the program that uses the port, or set PAYMENTS_GATEWAY_PORT."
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
