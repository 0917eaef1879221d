"""Hostile HTTP clients: `python -m drills.hostile_client HOST PORT SEED` attacks until killed.

Each kind of attack repeats over new connections, with a pause in between. The drill tests whether
one hostile client can harm others. It does not test whether two cores survive a flood.
"""

import asyncio
import gzip
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Final

MIB: Final = 1024**2
BODY_MIB: Final = 100
CHUNK: Final = b"a" * 65_536
SLOW_CLIENTS: Final = 50
DRIBBLE_S: Final = 0.5
PAUSE_S: Final = 0.3
ANSWER_S_MAX: Final = 5.0
HEAD: Final = (
    b"POST /webhooks/stripe HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
)
SIGNATURE: Final = b"Stripe-Signature: t=1,v1=00\r\n"


class Client:
    """A client that opens one hostile connection after another."""

    def __init__(self, host: str, port: int, rng: Random) -> None:
        self._host, self._port, self._dice = host, port, rng

    async def endless_body(self) -> None:
        """Send 100 MiB in chunks, without a length."""
        reader, writer = await self._open()
        writer.write(HEAD + SIGNATURE + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(BODY_MIB * MIB // len(CHUNK)):
            writer.write(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))
            await writer.drain()
        await self._end(reader, writer)

    async def bomb(self) -> None:
        """Send about 100 kB of gzip that decompress to 100 MiB."""
        body = BOMB
        head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        await self._say(HEAD + SIGNATURE + head + body)

    async def slow(self) -> None:
        """Send an endless request head, a few bytes at a time."""
        _, writer = await self._open()
        writer.write(HEAD)
        while True:
            writer.write(b"X-Slow: %d\r\n" % self._dice.randrange(10))
            await writer.drain()
            await asyncio.sleep(DRIBBLE_S)

    async def slow_body(self) -> None:
        """Send a body of the announced length, one byte at a time."""
        _, writer = await self._open()
        writer.write(HEAD + SIGNATURE + b"Content-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(DRIBBLE_S)

    async def heads(self) -> None:
        """Send request heads that are malformed or too large."""
        length = b"Content-Length: 2\r\n"
        heads = (
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self._dice.randbytes(500),
            HEAD + b"X-Long: " + b"a" * 40_000 + b"\r\n" + length + b"\r\n{}",
            HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(3_000)) + length + b"\r\n{}",
            HEAD + length + b"Content-Length: 7\r\n" + SIGNATURE + b"\r\n{}",
            HEAD + b"Content-Length: -1\r\n\r\n",
            HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
            HEAD + length + b"Transfer-Encoding: chunked\r\n" + SIGNATURE + b"\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            HEAD + SIGNATURE + b"X-In: a\rSet-Cookie: b=1\r\n" + length + b"\r\n{}",
            HEAD + b"Stripe-Signature: t=1,v1=0\n\nGET /metrics HTTP/1.1\r\n\r\n",
            HEAD + SIGNATURE + SIGNATURE + length + b"\r\n{}",
            HEAD + b"traceparent: '; DROP TABLE payment_events; --\r\n" + length + b"\r\n{}",
            b"POST /webhooks/../../etc/passwd HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n{}",
            HEAD + SIGNATURE + length + b"\r\n{}" + self._dice.randbytes(2_000),
        )
        await self._say(self._dice.choice(heads))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port)

    async def _say(self, request: bytes) -> None:
        reader, writer = await self._open()
        writer.write(request)
        await writer.drain()
        await self._end(reader, writer)

    async def _end(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(ANSWER_S_MAX):
            await reader.read(65_536)
        writer.close()


async def attack(host: str, port: int, seed: int) -> None:
    """Run all kinds of attack at the same time, forever."""
    client = Client(host, port, Random(seed))
    async with asyncio.TaskGroup() as group:
        for kind in (client.endless_body, client.bomb, client.heads, client.heads):
            group.create_task(_again(kind))
        for _ in range(SLOW_CLIENTS):
            group.create_task(_again(client.slow))
            group.create_task(_again(client.slow_body))


async def _again(kind: Callable[[], Awaitable[None]]) -> None:
    while True:
        with suppress(OSError, TimeoutError):
            await kind()
        await asyncio.sleep(PAUSE_S)


BOMB: Final = gzip.compress(bytes(BODY_MIB * MIB))

if __name__ == "__main__":
    given_host, given_port, given_seed = sys.argv[1:]
    asyncio.run(attack(given_host, int(given_port), int(given_seed)))
