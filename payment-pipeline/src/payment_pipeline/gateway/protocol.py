"""uvicorn's HTTP protocol with limits on size, time and connections.

uvicorn limits only the idle time between two requests. It doesn't limit the length of a request's
head, the time in which head and body arrive, the bytes that follow an answer, or the time that an
answer stays unread. A few slow or endless clients could hold all memory and all connections.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from payment_pipeline.settings import Settings

from . import answers, gateway_metrics
from .answers import Answer

HEAD_BYTES_MAX: Final = 32 * 1024
"""The maximum size of the request line and the headers together."""
SLICE_BYTES_MAX: Final = 8 * 1024
"""The maximum number of bytes that are counted and then parsed at once.

Of a pipelined request, the head may begin within a slice. Then up to one slice is not counted.
"""
PIPELINED_MAX: Final = 8
"""The maximum number of requests of one connection that wait for the answer to another."""
DISCARDED_BYTES_MAX: Final = 16 * 1024 * 1024
"""The maximum size that is read and discarded after a 413, so that the client can see it."""
SWEEP_S: Final = 1.0
"""The interval between two checks for slow clients."""


class BoundedProtocol(HttpToolsProtocol):
    """Counts the bytes of a request, and keeps the time at which it began to arrive."""

    settings: Settings
    """Set by `bounded`, because uvicorn creates the instances."""
    arriving_since: float | None = None
    """Time of the event loop; `None` between requests and when a request is complete."""
    unread_since: float | None = None
    """The time since which the client has read nothing; `None` while it reads."""
    idle_since: float | None = None
    """The time since which the client has no open request; `None` while it has one."""
    _in_head = True
    _request_bytes = 0

    @property
    def waiting_since(self) -> float | None:
        """The time since which only the client could go on; `None` while the gateway works."""
        return self.idle_since if self.arriving_since is None else self.arriving_since

    def cut(self, limit: str, answer: Answer | None = None) -> None:
        """Closes the connection because of a limit. Sends the answer if no other has begun."""
        if self.transport.is_closing():
            return
        gateway_metrics.CONNECTIONS_CUT.labels(limit).inc()
        self._end(answer)

    def _end(self, answer: Answer | None) -> None:
        if answer is not None and (self._in_head or not self.cycle.response_started):
            self.transport.write(answers.raw(answer))
        self.transport.close()

    def abandon(self) -> None:
        """Drops a client that doesn't read. A close would wait for the client."""
        gateway_metrics.CONNECTIONS_CUT.labels("unread").inc()
        self.transport.abort()

    # The server and the parser call the methods below.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock at once, so that a silent client counts as slow."""
        super().connection_made(transport)
        self.arriving_since = self.loop.time()
        if len(self.connections) > self.settings.gateway_connections_max:
            self._make_room()

    def _make_room(self) -> None:
        """Closes the connection whose client has been slow or idle for the longest time.

        So slow clients can't keep a fast one out. If every other client waits for the gateway, this
        connection is closed.
        """
        waiting = [
            (each.waiting_since, each)
            for each in self.connections
            if isinstance(each, BoundedProtocol)
            and each is not self
            and each.waiting_since is not None
            and not each.transport.is_closing()
        ]
        _, longest = min(waiting, key=lambda each: each[0], default=(None, self))
        is_slow = longest is not self and longest.arriving_since is not None
        longest.cut("connections", answers.REQUEST_TIMEOUT if is_slow else None)

    def pause_writing(self) -> None:
        """Starts the clock of a client that doesn't read."""
        super().pause_writing()
        self.unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """Stops the clock of a client that didn't read."""
        super().resume_writing()
        self.unread_since = None

    def data_received(self, data: bytes) -> None:
        """Counts and parses the bytes, and closes the connection before they are too many."""
        at = 0
        while at < len(data) and not self.transport.is_closing():
            slice_bytes = SLICE_BYTES_MAX
            if self._in_head:
                slice_bytes = min(slice_bytes, HEAD_BYTES_MAX - self._request_bytes)
                if slice_bytes == 0:
                    self.cut("head_bytes", answers.HEAD_TOO_LARGE)
                    return
            elif self._request_bytes > self.settings.body_bytes_max + DISCARDED_BYTES_MAX:
                self.cut("body_bytes")
                return
            part = data[at : at + slice_bytes]
            at += len(part)
            self._request_bytes += len(part)
            super().data_received(part)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Answers a request that can't be parsed with a problem, and closes the connection."""
        if not self.transport.is_closing():
            self._end(answers.MALFORMED)

    def on_message_begin(self) -> None:
        """Starts the clock of one request."""
        super().on_message_begin()
        self.arriving_since = self.loop.time()
        self.idle_since = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header of the head.

        Raises:
            ValueError: the header is a trailer, behind a chunked body. uvicorn would add it to the
                headers that were already checked. The parser turns this error into a 400.
        """
        if not self._in_head:
            raise ValueError("the client sends trailers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Switches from the limits of the head to the limits of the body.

        Raises:
            ValueError: the client asks for an upgrade: the parser would read no more bytes, so no
                limit would apply. Or too many of its requests wait. The parser turns this error
                into a 400.
        """
        if self.parser.should_upgrade():
            raise ValueError("the client asks for an upgrade")
        if len(self.pipeline) >= PIPELINED_MAX:
            self.cut("pipelined")
            raise ValueError("the client sends more requests than it reads answers")
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stops the clock of the request."""
        super().on_message_complete()
        self.arriving_since = None
        self._in_head = True
        self._request_bytes = 0

    def on_response_complete(self) -> None:
        """Starts the clock of an idle connection."""
        self.idle_since = None if self.pipeline else self.loop.time()
        super().on_response_complete()


def bounded(settings: Settings) -> type[BoundedProtocol]:
    """The protocol with the limits of the settings, for `uvicorn.Config(http=…)`."""
    return type("Bounded", (BoundedProtocol,), {"settings": settings})


async def sweep(server: ServerState, arriving_s_max: float) -> None:
    """Disconnects slow clients as long as the gateway runs."""
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
