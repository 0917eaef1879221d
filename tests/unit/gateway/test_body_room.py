"""Slow unsigned bodies can't take the room of signed ones, and no body holds the event loop."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
import uvicorn
from httpx import ASGITransport, AsyncClient

from payment_pipeline.gateway import protocol
from payment_pipeline.gateway.body_room import BodyRoom
from payment_pipeline.gateway.gateway_app import Gateway
from payment_pipeline.gateway.live_secrets import LiveSecrets
from payment_pipeline.gateway.webhook import VALUES_MAX, Webhooks, has_too_many_values
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from support.fakes import FakePublisher
from support.repository import ROOT

SECRET = "whsec_room"
FIXTURES = ROOT / "tests" / "providers" / "stripe"
ROOM_BYTES = 64 * 1024
BODY_BYTES_MAX = 32 * 1024
SLOW = 12
"""Slow bodies: together three times as large as the room."""
HEAD = b"POST /webhooks/stripe HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
EVENT = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "charge.succeeded",
        "created": 1_700_000_000,
        "data": {"object": {"id": "ch_1", "payment_intent": "pi_1"}},
    }
).encode()


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def webhooks(publisher: FakePublisher, tmp_path: Path) -> Webhooks:
    settings = Settings(
        var=tmp_path,
        webhook_secrets={"stripe": SECRET},
        body_bytes_max=BODY_BYTES_MAX,
        gateway_bytes_max=ROOM_BYTES,
    )
    secrets = {"stripe": LiveSecrets(providers()["stripe"], settings)}
    return Webhooks(settings, providers(), secrets, publisher)


@pytest.fixture
async def port(webhooks: Webhooks) -> AsyncIterator[int]:
    """A gateway on a real socket."""
    config = uvicorn.Config(
        Gateway(webhooks),
        http=protocol.bounded(Settings()),
        lifespan="off",
        log_config=None,
        port=0,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def head(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.readuntil(b"\r\n\r\n")


def signed_head(body: bytes) -> bytes:
    now = int(time.time())
    digest = hmac.new(SECRET.encode(), b"%d." % now + body, sha256).hexdigest()
    lines = f"stripe-signature: t={now},v1={digest}\r\ncontent-length: {len(body)}\r\n\r\n"
    return HEAD + lines.encode()


async def test_slow_unsigned_bodies_do_not_take_the_room_of_signed_ones(
    port: int, publisher: FakePublisher
) -> None:
    part = b" " * (BODY_BYTES_MAX // 2)
    async with AsyncExitStack() as clients:
        slow = [await clients.enter_async_context(dialled(port)) for _ in range(SLOW)]
        for _, writer in slow:
            writer.write(HEAD + b"stripe-signature: t=1,v1=0\r\n")
            writer.write(b"content-length: %d\r\n\r\n" % BODY_BYTES_MAX + part)
        refused = await first(slow)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after" in refused.lower()
        for _ in range(5):
            reader, writer = await clients.enter_async_context(dialled(port))
            body = EVENT.ljust(BODY_BYTES_MAX)
            writer.write(signed_head(body) + body[:20_000])
            await writer.drain()
            await asyncio.sleep(0.02)  # the rest comes in another segment
            writer.write(body[20_000:])
            assert (await head(reader)).startswith(b"HTTP/1.1 200 ")
    assert len(publisher.records) == 5


async def first(clients: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bytes:
    """The first answer that one of the clients gets."""
    reading = [asyncio.ensure_future(head(reader)) for reader, _ in clients]
    done, rest = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
    for each in rest:
        each.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    return done.pop().result()


async def test_the_body_that_held_the_most_for_the_longest_time_leaves() -> None:
    room = BodyRoom(100)
    left: list[str] = []

    async def hold(name: str, size: int) -> None:
        with room.enter() as arriving:
            room.take(arriving, b"x" * size)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if arriving.absorb_cancellation():
                    left.append(name)
                    return
                raise

    tasks = []
    for name, size in (("small", 10), ("large", 80), ("new", 20)):
        tasks.append(asyncio.create_task(hold(name, size)))
        await asyncio.sleep(0.01)
    assert left == ["large"]
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        asyncio.CancelledError,
        type(None),
        asyncio.CancelledError,
    ], "a cancellation that is no eviction is not absorbed"
    with room.enter() as arriving:
        room.take(arriving, b"x" * 100)
        assert not arriving.evicted, "the room is empty again"
        room.take(arriving, b"x")
        assert arriving.evicted, "a body that is larger than the room leaves"


def filled(before: bytes, item: bytes, after: bytes) -> bytes:
    """A body of 1 MiB that lists one item again and again."""
    room = 1024 * 1024 - len(before) - len(after)
    return before + b",".join([item] * (room // (len(item) + 1))) + after


INVOICE = (
    b'{"id":"evt_1","object":"event","type":"invoice.paid","created":1,'
    b'"data":{"object":{"id":"in_1","payments":{"data":['
)
LISTS = {
    "an array of empty arrays": filled(b"[", b"[]", b"]"),
    "an array of nested arrays": filled(b"[", b"[[]]", b"]"),
    "an array of objects": filled(b"[", b'{"a":0}', b"]"),
    "an array of numbers": filled(b"[", b"0", b"]"),
    "an invoice's payments": filled(INVOICE, b"{}", b"]}}}}"),
}


@pytest.mark.parametrize("body", LISTS.values(), ids=LISTS)
async def test_a_signed_list_of_a_megabyte_is_kept_and_not_parsed(
    tmp_path: Path, publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    def parse(_body: bytes) -> None:
        raise AssertionError("the body was parsed")

    monkeypatch.setattr(orjson, "loads", parse)
    settings = Settings(var=tmp_path, webhook_secrets={"stripe": SECRET})
    secrets = {"stripe": LiveSecrets(providers()["stripe"], settings)}
    app = Gateway(Webhooks(settings, providers(), secrets, publisher))
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://gateway") as client:
        lines = dict(line.split(b": ", 1) for line in signed_head(body).split(b"\r\n")[1:-2])
        answer = await client.post("/webhooks/stripe", content=body, headers=[*lines.items()])
    assert answer.status_code == 200
    ((topic, _, kept, found),) = publisher.records
    assert (topic, kept, found["reason"]) == ("webhooks.dlq", body, b"too_many_values")


def test_the_work_for_the_worst_body_that_is_parsed_is_bounded() -> None:
    """Routing an event costs little more than parsing it, however long its lists are."""
    body = INVOICE + b",".join([b"0"] * (VALUES_MAX - 20)) + b"]}}}}"
    assert not has_too_many_values(body)
    stripe = providers()["stripe"]
    assert cpu_s(lambda: stripe.read(body)) < 4 * cpu_s(lambda: orjson.loads(body)) + 0.002


def test_an_event_of_the_largest_size_has_not_too_many_values() -> None:
    """A real event of Stripe, repeated until it is a megabyte."""
    real = (FIXTURES / "invoice.paid.body.json").read_bytes()
    packed = orjson.dumps(orjson.loads(real))
    for event in (real, packed):
        assert not has_too_many_values(event * (1024 * 1024 // len(event)))


def cpu_s(work: Callable[[], object]) -> float:
    """The least processor time of some calls."""
    took = []
    for _ in range(7):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)
