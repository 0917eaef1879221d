"""How much, how slowly and over how many connections may a client send?

uvicorn bounds the idle time between two requests, and nothing of a request that is arriving: not
the length of its head, nor how long head or body take, nor how much is sent past an answer; nor how
long an answer may lie unread. A few slow or endless clients would hold all memory and connections.
This is its protocol, bounded.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from payment_pipeline.settings import Settings

from . import answers, gateway_metrics
from .answers import Answer

HEAD_BYTES_MAX: Final = 32 * 1024
"""Request line and headers together."""
DISCARDED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Read and thrown away after a 413, so that an honest client gets to see it."""
SWEEP_S: Final = 1.0
"""Between two looks for slow clients."""


class BoundedProtocol(HttpToolsProtocol):
    """Counts a request's bytes, and remembers since when it has been arriving."""

    settings: Settings
    """Set by `bounded`: uvicorn makes the instances."""
    arriving_since: float | None = None
    """On the loop's clock; `None` between requests and once a request is complete."""
    unread_since: float | None = None
    """Since when the client has taken nothing of what it is sent; `None` while it does."""
    _in_head = True
    _request_bytes = 0

    def cut(self, limit: str, answer: Answer | None = None) -> None:
        """Close the connection for a limit, with an answer if none has begun."""
        if self.transport.is_closing():
            return
        gateway_metrics.CONNECTIONS_CUT.labels(limit).inc()
        if answer is not None and (self._in_head or not self.cycle.response_started):
            self.transport.write(answers.raw(answer))
        self.transport.close()

    def abandon(self) -> None:
        """Drop a client that doesn't read: closing would wait for it."""
        gateway_metrics.CONNECTIONS_CUT.labels("unread").inc()
        self.transport.abort()

    # What follows is called by the server and the parser.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with the clock running: who connects and says nothing is as slow as a trickle."""
        super().connection_made(transport)
        self.arriving_since = self.loop.time()
        if len(self.connections) > self.settings.gateway_connections_max:
            self.cut("connections")

    def pause_writing(self) -> None:
        """Start the clock of who asks and doesn't read."""
        super().pause_writing()
        self.unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """Stop it."""
        super().resume_writing()
        self.unread_since = None

    def data_received(self, data: bytes) -> None:
        """Count, parse, and cut what has grown too long."""
        self._request_bytes += len(data)
        super().data_received(data)
        if self._request_bytes <= HEAD_BYTES_MAX:
            return
        if self._in_head:
            self.cut("head_bytes", answers.HEAD_TOO_LARGE)
        elif self._request_bytes > self.settings.body_bytes_max + DISCARDED_BYTES_MAX:
            self.cut("body_bytes")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        """Answer what can't be parsed as everything else is answered, and close."""
        self.transport.write(answers.raw(answers.MALFORMED))
        self.transport.close()

    def on_message_begin(self) -> None:
        """Start the clock for one request."""
        super().on_message_begin()
        self.arriving_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """From here on the body's limits hold.

        Raises:
            ValueError: an upgrade is asked for. The parser would read nothing from there on, the
                body neither, and so no limit would hold; it makes a 400 of this.
        """
        if self.parser.should_upgrade():
            raise ValueError("an upgrade")
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock."""
        super().on_message_complete()
        self.arriving_since = None
        self._in_head = True
        self._request_bytes = 0


def bounded(settings: Settings) -> type[BoundedProtocol]:
    """The protocol with these limits, for `uvicorn.Config(http=…)`."""
    return type("Bounded", (BoundedProtocol,), {"settings": settings})


async def sweep(server: ServerState, arriving_s_max: float) -> None:
    """Cut the slow clients, for as long as the gateway runs."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_S)
        latest = loop.time() - arriving_s_max
        for connection in tuple(server.connections):
            if not isinstance(connection, BoundedProtocol):
                continue
            since, unread_since = connection.arriving_since, connection.unread_since
            if unread_since is not None and unread_since < latest:
                connection.abandon()
            elif since is not None and since < latest:
                connection.cut("slow", answers.REQUEST_TIMEOUT)
