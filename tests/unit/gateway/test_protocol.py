"""Slow, endless and too many clients are disconnected; an honest one is answered."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn
from prometheus_client import REGISTRY
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from payment_pipeline.gateway import protocol
from payment_pipeline.gateway.protocol import HEAD_BYTES_MAX, PIPELINED_MAX
from payment_pipeline.settings import Settings

SETTINGS = Settings(body_bytes_max=1024, gateway_connections_max=3, gateway_read_s_max=0.2)
HEAD = b"POST / HTTP/1.1\r\nhost: gateway\r\n"
LONG_BYTES = 64 * 1024 * 1024
"""More than the kernel holds for a client that doesn't read."""
HONEST = HEAD + b"content-length: 2\r\n\r\n{}"

WORK_ENDS = asyncio.Event()
WORKING = asyncio.Semaphore(0)
"""Is released when the application has a request for /work."""

Dial = Callable[[], "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]"]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 413 once more than the cap has come, else 200; at /long with a long body.

    At /work it answers after `WORK_ENDS`.
    """
    size, more = 0, True
    while more and size <= SETTINGS.body_bytes_max:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/work":
        WORKING.release()
        await WORK_ENDS.wait()
    status = 413 if size > SETTINGS.body_bytes_max else 200
    body = b"x" * LONG_BYTES if scope["path"] == "/long" else b""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(protocol, "SWEEP_S", 0.02)
    global WORKING
    WORK_ENDS.clear()
    WORKING = asyncio.Semaphore(0)
    monkeypatch.setattr(protocol, "DISCARDED_BYTES_MAX", 256 * 1024)
    config = uvicorn.Config(
        app, http=protocol.bounded(SETTINGS), lifespan="off", log_config=None, port=0
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    sweeper = asyncio.create_task(protocol.sweep(server.server_state, SETTINGS.gateway_read_s_max))
    yield server.servers[0].sockets[0].getsockname()[1]
    sweeper.cancel()
    WORK_ENDS.set()
    await server.shutdown()


@pytest.fixture
async def dial(port: int) -> AsyncIterator[Dial]:
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    yield lambda: asyncio.ensure_future(connect())
    for writer in writers:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server hangs up."""
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def head(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(b"\r\n\r\n")


async def test_an_honest_client_keeps_its_connection(dial: Dial) -> None:
    reader, writer = await dial()
    for _ in range(3):
        writer.write(HONEST)
        assert (await head(reader)).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(3 * SETTINGS.gateway_read_s_max)  # rests longer than a request may take
    writer.write(HONEST)
    assert (await head(reader)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST / HT", HEAD, HEAD + b"content-length: 2\r\n\r\n{"],
    ids=["nothing", "a line", "a head", "a body"],
)
async def test_a_slow_client_is_told_and_cut(dial: Dial, beginning: bytes) -> None:
    reader, writer = await dial()
    writer.write(beginning)
    answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close\r\n" in answer
    assert b'"code":"request_timeout"' in answer


async def test_trickling_does_not_stop_the_clock(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(HEAD)

    async def trickle() -> None:
        while True:
            writer.write(b"x-more: 1\r\n")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    try:
        answer = await rest(reader)  # may be lost, since the client sends on
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    finally:
        trickling.cancel()


async def test_an_endless_head_is_cut(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(HEAD + b"x-more: " + b"x" * HEAD_BYTES_MAX)
    assert (await head(reader)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "more",
    [b"x-1: 1\r\n" * 100_000, b"x-more: " + b"x" * 1_000_000, b"/" * 1_000_000, b"\r\n" * 500_000],
    ids=["many headers", "a long header", "a long target", "empty lines"],
)
async def test_a_head_is_measured_before_it_is_parsed(
    dial: Dial, more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed_bytes = 0

    def counted(self: HttpToolsProtocol, data: bytes) -> None:
        nonlocal parsed_bytes
        parsed_bytes += len(data)
        parse(self, data)

    parse = HttpToolsProtocol.data_received
    monkeypatch.setattr(HttpToolsProtocol, "data_received", counted)
    reader, writer = await dial()
    start = {b"/": b"GET /", b"\r": b"\r\n"}.get(more[:1], HEAD)
    writer.write(start + more + b"\r\n\r\n")
    answer = await rest(reader)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert parsed_bytes == HEAD_BYTES_MAX


async def test_a_head_of_the_largest_size_is_taken(dial: Dial) -> None:
    reader, writer = await dial()
    start, end = HEAD + b"content-length: 2\r\nx-more: ", b"\r\n\r\n"
    for size, status in ((HEAD_BYTES_MAX, 200), (HEAD_BYTES_MAX + 1, 431)):
        writer.write(start + b"x" * (size - len(start) - len(end)) + end + b"{}")
        assert (await head(reader)).startswith(b"HTTP/1.1 %d " % status)


async def test_requests_that_wait_for_an_answer_are_bounded(dial: Dial) -> None:
    reader, writer = await dial()
    before = cut("pipelined")
    writer.write(b"GET /work HTTP/1.1\r\n\r\n" * 10_000)
    assert await rest(reader) == b""
    assert cut("pipelined") == before + 1
    reader, writer = await dial()
    writer.write(HONEST * (PIPELINED_MAX // 2))
    for _ in range(PIPELINED_MAX // 2):
        assert (await head(reader)).startswith(b"HTTP/1.1 200")


async def test_a_body_too_large_is_answered_and_its_rest_discarded(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(HEAD + b"content-length: 100000\r\n\r\n" + b"x" * 100_000)
    assert (await head(reader)).startswith(b"HTTP/1.1 413")
    writer.write(HONEST)
    assert (await head(reader)).startswith(b"HTTP/1.1 200")


async def flood(writer: asyncio.StreamWriter, bytes_max: int) -> int:
    """Send chunks until the server hangs up; how many bytes it let through."""
    sent = 0
    try:
        while sent < bytes_max:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
            await writer.drain()
    except ConnectionError:
        pass
    return sent


async def test_an_endless_body_is_cut(dial: Dial) -> None:
    _, writer = await dial()
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    assert await flood(writer, 100_000_000) < 10_000_000


async def test_connections_are_counted(dial: Dial) -> None:
    """Each of them waits for the gateway, so none may be closed for another one."""
    taken = [await dial() for _ in range(SETTINGS.gateway_connections_max)]
    for _, writer in taken:
        writer.write(b"GET /work HTTP/1.1\r\nhost: gateway\r\n\r\n")
    async with asyncio.timeout(5):
        for _ in taken:
            await WORKING.acquire()
    one_too_many, _ = await dial()
    assert await rest(one_too_many) == b""
    WORK_ENDS.set()
    for reader, _ in taken:
        assert (await head(reader)).startswith(b"HTTP/1.1 200")
    taken[0][1].close()
    await taken[0][1].wait_closed()
    reader, writer = await dial()
    writer.write(HONEST)
    assert (await head(reader)).startswith(b"HTTP/1.1 200")


async def test_the_longest_idle_connection_makes_room(dial: Dial) -> None:
    taken = [await dial() for _ in range(SETTINGS.gateway_connections_max)]
    for reader, writer in reversed(taken):
        writer.write(HONEST)
        assert (await head(reader)).startswith(b"HTTP/1.1 200")
    reader, writer = await dial()
    writer.write(HONEST)
    assert (await head(reader)).startswith(b"HTTP/1.1 200")
    assert await rest(taken[-1][0]) == b""
    for reader, writer in taken[:-1]:
        writer.write(HONEST)
        assert (await head(reader)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("beginning", [b"", HEAD, HEAD + b"content-length: 2\r\n\r\n{"])
async def test_slow_clients_can_not_keep_a_fast_one_out(dial: Dial, beginning: bytes) -> None:
    for _ in range(3 * SETTINGS.gateway_connections_max):
        _, writer = await dial()
        writer.write(beginning)
    for _ in range(3):
        reader, writer = await dial()
        writer.write(HONEST)
        assert (await head(reader)).startswith(b"HTTP/1.1 200")


async def test_who_asks_and_never_reads_is_dropped(dial: Dial) -> None:
    reader, writer = await dial()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /long HTTP/1.1\r\nhost: gateway\r\n\r\n")
    before = cut("unread")
    async with asyncio.timeout(5):
        while cut("unread") == before:
            await asyncio.sleep(0.02)
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await rest(reader)) < LONG_BYTES


def cut(limit: str) -> float:
    """Connections cut for a limit so far."""
    return (
        REGISTRY.get_sample_value("payments_gateway_connections_cut_total", {"limit": limit}) or 0.0
    )


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ("content-length: 4|transfer-encoding: chunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked|content-length: 4", "0\r\n\r\n"),
        ("content-length: 0|content-length: 40", ""),
        ("content-length: 2|content-length: 2", "{}"),
        ("content-length: 0, 40", ""),
        ("content-length: +0", ""),
        ("content-length: -1", ""),
        ("content-length: 0x2", "{}"),
        ("content-length: 99999999999999999999999", "{}"),
        ("transfer-encoding : chunked", "0\r\n\r\n"),
        ("transfer-encoding: identity", "0\r\n\r\n"),
        ("transfer-encoding: xchunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked, identity", "0\r\n\r\n"),
        ("transfer-encoding: \x0bchunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked", "-2\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "2\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "2;\nxx\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "0\r\ncontent-length: 40\r\n\r\n"),
        ("transfer-encoding: chunked", "2\r\n{}\r\n0\r\nx: a\r\n\r\n"),
        ("transfer-encoding: chunked", "2\r\n{}\r\n0\r\nstripe-signature: t=1,v1=0\r\n\r\n"),
        ("transfer-encoding: chunked|trailer: x", "0\r\nx: a\r\n\r\n"),
        ("x: a\rtransfer-encoding: chunked", "0\r\n\r\n"),
        ("x: a\r\n transfer-encoding: chunked", "0\r\n\r\n"),
        ("x: a\ncontent-length: 40", ""),
        ("x: a\0b", ""),
        ("x y: a", ""),
        ("connection: upgrade|upgrade: h2c|content-length: 2", "{}"),
        ("connection: upgrade|upgrade: websocket", ""),
    ],
)
async def test_nothing_is_smuggled_behind_a_request(dial: Dial, lines: str, body: str) -> None:
    """Where two readers could see two ends of one request, there is none: RFC 9112, 11.2."""
    reader, writer = await dial()
    writer.write(HEAD + lines.replace("|", "\r\n").encode() + b"\r\n\r\n" + body.encode() + HONEST)
    answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"content-type: application/problem+json\r\n" in answer
    assert b"connection: close\r\n" in answer
