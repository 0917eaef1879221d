"""The sender: pace, retries, `Retry-After`, unknown answers and the client ledger.

The tests use a server in the same process, which answers by a script.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import perf_counter, time
from typing import Final, NamedTuple

import pytest

from payment_pipeline.domain import client_ledger
from payment_pipeline.domain.client_ledger import Attempt
from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import Refusal, Verified, providers
from payment_pipeline.simulator import sender
from payment_pipeline.simulator.answer_tally import Tally, percentiles_ms
from payment_pipeline.simulator.faults import Delivery, Destination, Fault, Faults
from payment_pipeline.simulator.sender import Pace, Target, send, target
from payment_pipeline.simulator.traffic import Period, deliveries

SECRET: Final = "whsec_unit"
OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
BAD: Final = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
BUSY: Final = b"HTTP/1.1 503 Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
LAST: Final = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
HANG_UP: Final = b""
NEVER: Final = None


class Request(NamedTuple):
    at: float
    head: str
    body: bytes
    connection: int

    @property
    def signature(self) -> str | None:
        for line in self.head.split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Stripe-Signature":
                return value
        return None


class Server(NamedTuple):
    to: Target
    requests: list[Request]


@asynccontextmanager
async def serving(answer: Callable[[Request], bytes | None]) -> AsyncIterator[Server]:
    requests: list[Request] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                length = int(head.lower().partition("content-length: ")[2].split("\r\n")[0])
                body = await reader.readexactly(length)
                requests.append(Request(perf_counter(), head, body, number))
                said = answer(requests[-1])
                if said == HANG_UP:
                    break
                if said is not NEVER:
                    writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Server(Target("127.0.0.1", port, "/webhooks/stripe", SECRET), requests)
    finally:
        server.close()


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Tally]:
    with (tmp_path / "ledger.jsonl").open("ab", buffering=0) as ledger:
        yield Tally(ledger)


def ledger_of(tally: Tally) -> list[Attempt]:
    lines = Path(tally.ledger.name).read_bytes().splitlines()
    attempts = [client_ledger.load(line) for line in lines]
    assert None not in attempts
    return [attempt for attempt in attempts if attempt]


def plain(count: int, faults: Faults | None = None) -> list[Delivery]:
    period = Period(datetime(2026, 6, 1, tzinfo=UTC))
    return list(deliveries(2, count, period, faults or Faults()))


async def deliver(
    what: list[Delivery],
    to: Target,
    tally: Tally,
    pace: Pace | None = None,
    connections: int = 4,
    timeout_s: float = 5.0,
) -> None:
    await send(what, to, tally, pace=pace or Pace(), connections=connections, timeout_s=timeout_s)


async def test_every_delivery_arrives_signed_over_reused_connections(tally: Tally) -> None:
    what = plain(200)
    async with serving(lambda _: OK) as server:
        await deliver(what, server.to, tally)
    assert sorted(r.body for r in server.requests) == sorted(d.body for d in what)
    assert len({request.connection for request in server.requests}) <= 4
    verify = providers()["stripe"].verify
    for request in server.requests:
        assert request.head.startswith("POST /webhooks/stripe HTTP/1.1\r\n")
        assert verify(request.body, request.signature, [SECRET], time(), 300) == Verified(0)
    assert (tally.deliveries, tally.attempts, tally.wrong_answer_count) == (200, 200, 0)
    unmodelled = sum(delivery.destination is Destination.UNMODELLED for delivery in what)
    assert tally.expected_destinations() == {
        "payment_events": 200 - unmodelled,
        "payment_events_quarantine": 0,
        "payments.unmodelled": unmodelled,
    }


async def test_one_connection_keeps_the_order(tally: Tally) -> None:
    what = plain(50)
    async with serving(lambda _: OK) as server:
        await deliver(what, server.to, tally, connections=1)
    assert [request.body for request in server.requests] == [d.body for d in what]


async def test_the_ledger_has_a_line_for_every_attempt(tally: Tally) -> None:
    what = plain(60, Faults(duplicates=0.3, malformed=0.3))
    async with serving(lambda _: OK) as server:
        await deliver(what, server.to, tally, connections=1)
    attempts = ledger_of(tally)
    assert [(a.event_id, a.sha256, a.answer, a.fault) for a in attempts] == [
        (d.event_id, sha256(d.body).hexdigest(), 200, d.fault) for d in what
    ]
    assert all(datetime.fromisoformat(attempt.at).tzinfo for attempt in attempts)


async def test_a_503_is_retried_and_not_before_retry_after(tally: Tally) -> None:
    async with serving(lambda _: BUSY if len(server.requests) == 1 else OK) as server:
        await deliver(plain(1), server.to, tally)
    first, second = server.requests
    assert first.body == second.body
    assert second.at - first.at >= 1.0
    assert [attempt.answer for attempt in ledger_of(tally)] == [503, 200]
    assert (tally.deliveries, tally.wrong_answer_count) == (1, 0)


async def test_pauses_grow_and_attempts_are_limited(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TRIES_MAX", 4)
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.02)
    failing = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
    async with serving(lambda _: failing) as server:
        await deliver(plain(1), server.to, tally)
    at = [request.at for request in server.requests]
    assert len(at) == 4
    assert at[1] - at[0] >= 0.02
    assert at[3] - at[2] >= 0.08
    assert tally.wrong_answer_count == 1
    assert tally.wrong_answers[0].answer == 500


async def test_a_missing_answer_counts_as_unknown_and_is_retried(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)
    script = [HANG_UP, NEVER, b"not http\r\n\r\n", OK]
    async with serving(lambda _: script[len(server.requests) - 1]) as server:
        await deliver(plain(1), server.to, tally, timeout_s=0.2)
    answers = [attempt.answer for attempt in ledger_of(tally)]
    assert answers == ["unknown", "unknown", "unknown", 200]
    assert len(tally.latencies_ms) == 1, "an answer that never arrived has no latency"


async def test_a_refused_connection_counts_as_unknown(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TRIES_MAX", 2)
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)
    async with serving(lambda _: OK) as server:
        pass
    await deliver(plain(1), server.to, tally)
    assert [attempt.answer for attempt in ledger_of(tally)] == ["unknown", "unknown"]
    assert tally.wrong_answer_count == 1


async def test_the_sender_stops_when_the_target_is_gone(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TRIES_MAX", 3)
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)
    async with serving(lambda _: OK) as server:
        pass
    await deliver(plain(1000), server.to, tally, connections=2)
    assert tally.gave_up
    assert 1 <= tally.deliveries <= 2
    assert tally.wrong_answer_count == tally.deliveries
    with pytest.raises(UserError, match="Nothing listens"):
        await sender.require_reachable(server.to)


async def test_a_connection_closed_by_the_server_is_replaced(tally: Tally) -> None:
    async with serving(lambda _: LAST) as server:
        await deliver(plain(3), server.to, tally, connections=1)
    assert [request.connection for request in server.requests] == [1, 2, 3]
    assert tally.answers == {200: 3}


async def test_a_forgery_is_expected_to_be_refused(tally: Tally) -> None:
    what = plain(100, Faults(bad_signature=0.2))
    verify = providers()["stripe"].verify

    def judge(request: Request) -> bytes:
        verdict = verify(request.body, request.signature, [SECRET], time(), 300)
        return BAD if isinstance(verdict, Refusal) else OK

    async with serving(judge) as server:
        await deliver(what, server.to, tally)
    forgeries = sum(delivery.fault is Fault.BAD_SIGNATURE for delivery in what)
    assert forgeries
    assert tally.answers == {200: 100, 401: forgeries}
    assert tally.wrong_answer_count == 0


async def test_an_accepted_forgery_is_a_wrong_answer(tally: Tally) -> None:
    what = [d for d in plain(100, Faults(bad_signature=0.2)) if d.fault is Fault.BAD_SIGNATURE]
    async with serving(lambda _: OK) as server:
        await deliver(what, server.to, tally)
    assert tally.wrong_answer_count == len(what)
    assert tally.wrong_answers[0].expected == [400, 401]


async def test_the_rate_is_kept(tally: Tally) -> None:
    async with serving(lambda _: OK) as server:
        await deliver(plain(50), server.to, tally, pace=Pace(rate_per_s=100))
    took_s = server.requests[-1].at - server.requests[0].at
    assert 0.45 <= took_s < 1.5


def test_a_burst_is_due_at_once_in_addition_to_the_rate() -> None:
    pace = Pace(rate_per_s=10, burst=20)
    due = [pace.due_s(index) for index in range(140)]
    assert due[:21] == [0.0] * 21
    assert due[21] == pytest.approx(0.1)
    assert due[69] == pytest.approx(4.9)
    assert due[70:91] == [5.0] * 21
    assert due == sorted(due)
    assert [Pace(10).due_s(index) for index in (0, 1, 50)] == pytest.approx([0, 0.1, 5])
    assert [Pace(0.05).due_s(index) for index in (0, 1)] == pytest.approx([0, 20])
    assert Pace().due_s(10**6) == 0


@pytest.mark.parametrize(
    "url", ["http://203.0.113.7/x", "http://example.com/", "https://127.0.0.1/", "127.0.0.1:8000"]
)
def test_a_url_that_is_not_http_on_loopback_is_refused(url: str) -> None:
    with pytest.raises(UserError):
        target(url, SECRET)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/webhooks/stripe", ("127.0.0.1", 8000, "/webhooks/stripe")),
        ("http://localhost", ("localhost", 80, "/")),
        ("http://[::1]:81/a", ("::1", 81, "/a")),
    ],
)
def test_a_loopback_url_is_parsed(url: str, expected: tuple[str, int, str]) -> None:
    assert target(url, SECRET)[:3] == expected


def test_percentiles_are_by_nearest_rank() -> None:
    from array import array

    values = array("f", [float(value) for value in range(100, 0, -1)])
    assert percentiles_ms(values) == {"p50": 51.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    assert percentiles_ms(array("f")) == {}
