"""`python -m payment_pipeline.inference`: one scoring process."""

import socket
from typing import Final

import structlog
import uvicorn

from payment_pipeline import settings, telemetry
from payment_pipeline.domain.failures import UserError

from .inference_app import create_app

DRAIN_S: Final = 5
"""How long a stop waits for the batches under way."""
CONNECTIONS_MAX: Final = 128
"""The worker has one a batch in flight; past it the answer is 503."""

log = structlog.get_logger()


async def main() -> None:
    """Serve on `host` and `inference_port` until SIGTERM or SIGINT.

    Raises:
        UserError: a model was never trained, there is no token, or the port is taken.
    """
    loaded = settings.load()
    telemetry.configure("inference", loaded)
    config = uvicorn.Config(
        create_app(loaded),
        http="h11",  # it bounds a request's head, which httptools doesn't
        ws="none",
        limit_concurrency=CONNECTIONS_MAX,
        proxy_headers=False,
        log_config=None,  # our own, as JSON
        access_log=False,  # the metrics count
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    listener = _listen(loaded)
    log.info("serving", host=loaded.host, port=loaded.inference_port)
    await uvicorn.Server(config).serve(sockets=[listener])
    log.info("stopped")


def _listen(loaded: settings.Settings) -> socket.socket:
    try:
        return socket.create_server((loaded.host, loaded.inference_port))
    except OSError as error:
        raise UserError(
            f"Port {loaded.inference_port} on {loaded.host} can't be used: {error.strerror}; "
            "stop what listens there, or set PAYMENTS_INFERENCE_PORT."
        ) from error


if __name__ == "__main__":
    telemetry.run(main)
