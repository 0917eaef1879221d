"""A server that speaks TLS in front of one that does not: PostgreSQL, Temporal or an HTTP server.

The native PostgreSQL and Temporal have no TLS. Through this front their clients are tested with
real certificates, whose checks are the clients' part.
"""

import asyncio
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from local_stack import certificates
from support import isolated

SSL_REQUEST: Final = 80877103
"""PostgreSQL's number of the request for TLS. Its other requests before a login get a no."""
CHUNK_BYTES: Final = 65_536


class Front(NamedTuple):
    """Where the server listens, and the files of its certificate."""

    port: int
    authority: Path
    """The certificate of the only authority that certifies it."""
    certificate: Path
    """A certificate, with its key, that it admits as a client's."""


@contextmanager
def front(
    folder: Path, backend: int, *, postgres: bool = False, mutual: bool = False
) -> Iterator[Front]:
    """Serve TLS on a free port of loopback, and pass everything on to another port.

    Args:
        folder: where the certificates are made.
        backend: the port of the server without TLS.
        postgres: begin as PostgreSQL does, whose client asks for TLS first.
        mutual: admit only clients that show `Front.certificate`.
    """
    folder.mkdir(exist_ok=True)
    made = certificates.ensure(isolated.settings(folder), "front")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(made.authority))
    context.load_cert_chain(made.server)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = [writer]
        try:
            if postgres:
                await _until_tls(reader, writer, context)
            inside, outside = await asyncio.open_connection("127.0.0.1", backend)
            opened.append(outside)
            await asyncio.gather(_copy(reader, outside), _copy(inside, writer))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            for each in opened:
                each.transport.abort()

    async def start() -> asyncio.Server:
        secret = None if postgres else context
        return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=secret)

    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result()
        yield Front(server.sockets[0].getsockname()[1], made.authority, made.server)
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _until_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
) -> None:
    """Answer the requests before a login, until the client asks for TLS.

    Raises:
        ConnectionError: the client begins without TLS, which is refused.
    """
    while True:
        _, code = struct.unpack("!ii", await reader.readexactly(8))
        if code == SSL_REQUEST:
            writer.write(b"S")
            await writer.start_tls(context)
            return
        if code >> 16 == 3:
            writer.close()
            raise ConnectionError
        writer.write(b"N")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
