"""One keep-alive HTTP connection of the sender, which sends one request at a time.

The sender uses no HTTP client library: it shares the machine with the gateway that it measures, and
a general client costs several times as much CPU for each request. The connection speaks plain
HTTP/1.1, because the sender sends to loopback addresses only.
"""

import asyncio
from typing import NamedTuple, cast

import httptools


class Answer(NamedTuple):
    """The status and the `Retry-After` of an HTTP response."""

    status: int
    retry_after_s: float | None


class NoAnswerError(Exception):
    """No HTTP response arrived. The server may have processed the request or not."""


class Connection(asyncio.Protocol):
    """An open connection, made by `open`. Use the connection again while it is `usable`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer] | None = None
        self._retry_after_s: float | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect.

        Raises:
            OSError: no process listens on this address.
        """
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    @property
    def usable(self) -> bool:
        """Whether another request can be sent on this connection."""
        return self._transport is not None and not self._transport.is_closing()

    async def request(self, head: bytes, body: bytes) -> Answer:
        """Send one request and wait for its answer. A cancellation closes the connection.

        Raises:
            NoAnswerError: the connection ended before the answer.
        """
        if self._transport is None:
            raise NoAnswerError("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._retry_after_s = None
        self._transport.writelines((head, body))
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # Callbacks of asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:  # noqa: D102
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._transport = None
        self._fail(str(exc or "closed by the other side"))

    # Callbacks of httptools.

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if name.lower() == b"retry-after" and value.isdigit():
            self._retry_after_s = float(value)

    def on_message_complete(self) -> None:  # noqa: D102
        status = self._parser.get_status_code()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(status, self._retry_after_s))
        if not self._parser.should_keep_alive():
            self.close()

    def _fail(self, why: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NoAnswerError(why))
