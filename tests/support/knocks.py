"""Knocks at a port without credentials, in every protocol that a component of the stack speaks.

A knock returns what the port gave a stranger, as a short text, or nothing if the port refused. The
knocks know no component: a new port gets all of them.
"""

import asyncio
import ssl
import struct
from collections.abc import Iterator
from typing import Final

import aiohttp
import grpc  # type: ignore[import-untyped]

PATIENCE_S: Final = 5.0
PATHS: Final = (
    *("/", "/metrics", "/livez", "/readyz", "/health", "/healthz", "/status", "/openapi.json"),
    *("/debug/pprof/", "/debug/vars", "/api/v1/namespaces", "/api/v1/database/", "/graphql"),
    *("/v1/info", "/v1/config", "/v1/node", "/v1/query", "/v1/lakehouse/namespaces", "/v1/score"),
    *("/ui/", "/login/", "/superset/welcome/", "/users/list/", "/lakehouse", "/buckets/"),
    *("/lakehouse?list-type=2", "/buckets/lakehouse/?pretty=y", "/etc/iam/identity.json"),
    *(
        "/cluster/status",
        "/dir/status",
        "/dir/assign",
        "/vol/status",
        "/stats/disk",
        "/?Action=ListUsers",
    ),
)
"""The addresses of data, of users, of insides and of states in the programs of the stack."""
WRITES: Final = (
    "/lakehouse/knock",
    "/buckets/lakehouse/knock",
    "/webhooks/stripe",
    "/v1/statement",
)
ORIGIN: Final = "https://a-page.example"
STARTUP: Final = b"user\0postgres\0database\0postgres\0\0"
"""The start of a PostgreSQL connection of the superuser, without a password."""
KAFKA_ID: Final = 0x6B6E6F63
"""The number of Kafka's request, which an answer repeats: the ASCII codes of "knoc"."""


async def knock(host: str, port: int) -> set[str]:
    """Everything that a port gave a stranger."""
    plain = await _http(f"http://{host}:{port}")
    secret = await _http(f"https://{host}:{port}")
    others = await asyncio.gather(
        _postgres(host, port),
        _kafka(host, port),
        asyncio.to_thread(_grpc, f"{host}:{port}", encrypted=False),
        asyncio.to_thread(_grpc, f"{host}:{port}", encrypted=True),
    )
    return {*plain, *secret, *(each for each in others if each)}


async def foreign_origin(url: str) -> str | None:
    """The origin that the server of a URL allows to write, if a page of a stranger asks."""
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    async with aiohttp.ClientSession() as session, session.options(url, headers=asks) as answer:
        return answer.headers.get("Access-Control-Allow-Origin")


async def _http(address: str) -> set[str]:
    # A client without a certificate, which accepts any certificate of the server.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = set()
    connector = aiohttp.TCPConnector(ssl=context, limit=4)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask(method: str, path: str) -> None:
            try:
                async with session.request(
                    method, address + path, data=b"{}" * (method != "GET"), allow_redirects=False
                ) as answer:
                    if answer.ok and answer.status < 300:
                        found.add(f"{method} {path}")
            except (aiohttp.ClientError, TimeoutError, OSError):
                return

        await asyncio.gather(*(ask(method, path) for method, path in _requests()))
    return found


def _requests() -> Iterator[tuple[str, str]]:
    yield from (("GET", path) for path in PATHS)
    for path in WRITES:
        yield from ((method, path) for method in ("PUT", "POST", "DELETE"))
    yield "POST", "/graphql"


async def _postgres(host: str, port: int) -> str | None:
    message = struct.pack("!ii", len(STARTUP) + 8, 3 << 16) + STARTUP
    answer = await _exchange(host, port, message, 9)
    # An answer R with the number 0 is a login without a password.
    return "PostgreSQL" if answer == b"R" + struct.pack("!ii", 8, 0) else None


async def _kafka(host: str, port: int) -> str | None:
    request = struct.pack("!hhih", 18, 0, KAFKA_ID, -1)  # ApiVersions, without a client's name
    answer = await _exchange(host, port, struct.pack("!i", len(request)) + request, 8)
    return "Kafka" if answer[4:] == struct.pack("!i", KAFKA_ID) else None


async def _exchange(host: str, port: int, message: bytes, size: int) -> bytes:
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(message)
                return await reader.readexactly(size)
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return b""


def _grpc(address: str, *, encrypted: bool) -> str | None:
    """Call a method that no server has. Only a server that admits strangers says so."""
    if encrypted:
        try:
            host, port = address.rsplit(":", 1)
            shown = ssl.get_server_certificate((host, int(port)), timeout=PATIENCE_S)
        except OSError:
            return None
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(shown.encode()))
    else:
        channel = grpc.insecure_channel(address)
    with channel:
        try:
            channel.unary_unary("/knock.Knock/Knock")(b"", timeout=PATIENCE_S)
        except grpc.RpcError as refused:
            # A server that speaks HTTP/2 without gRPC answers 404: unimplemented, says the client.
            speaks = "http2 header with status" not in (refused.details() or "")
            return "gRPC" if speaks and refused.code() is grpc.StatusCode.UNIMPLEMENTED else None
    return "gRPC"
