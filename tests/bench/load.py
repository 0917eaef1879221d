"""A load generator for a webhook endpoint: a closed loop over keep-alive connections.

`drive` runs the generator in a separate process, so that it does not use the server's event loop.
It uses raw asyncio, because an ordinary HTTP client costs more per request than the gateway.
"""

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
import time
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast

import uvloop

OBJECTS: Final = Path(__file__).parents[1] / "providers" / "stripe_objects.json"
REQUESTS: Final = 2000
"""Number of different requests, sent in turn."""


@dataclass(frozen=True)
class Plan:
    """The requests, the endpoint and the duration of one load."""

    port: int
    secret: str
    path: str = "/webhooks/stripe"
    host: str = "127.0.0.1"
    connections: int = 64
    seconds: float = 4.0
    warmup_s: float = 0.5
    keys: int = REQUESTS
    """Number of different payments; 1 gives a hot key."""


@dataclass(frozen=True)
class Outcome:
    """The answers after the warm-up."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    by_status: dict[str, int]
    cpu_s: float


def drive(plan: Plan) -> Outcome:
    """Send load from a separate process, and return the outcome."""
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(asdict(plan))],
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + plan.warmup_s + 60,
    )
    return Outcome(**json.loads(done.stdout))


def signed_requests(plan: Plan) -> list[bytes]:
    """Make complete HTTP requests with events of about 1.5 KB from Stripe's example object."""
    example = json.loads(OBJECTS.read_text())["resources"]["payment_intent"]
    now = int(time.time())
    return [_request(plan, example, number, now) for number in range(REQUESTS)]


def _request(plan: Plan, example: dict[str, object], number: int, now: int) -> bytes:
    payment = f"pi_{number % plan.keys:024d}"
    event = {
        "id": f"evt_{now}{number:014d}",
        "object": "event",
        "api_version": "2024-06-20",
        "created": now,
        "type": "payment_intent.succeeded",
        "livemode": False,
        "request": {"id": None, "idempotency_key": None},
        "data": {"object": {**example, "id": payment, "amount": 1000 + number}},
    }
    body = json.dumps(event).encode()
    signature = hmac.new(plan.secret.encode(), b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    head = (
        f"POST {plan.path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\n"
        f"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nAccept: */*\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Stripe-Signature: t={now},v1={signature}\r\n\r\n"
    )
    return head.encode() + body


class _Run:
    """State that all connections share."""

    def __init__(self, requests: list[bytes]) -> None:
        self.requests = requests
        self.sent = 0
        self.running = True
        self.latencies_s = array("d")
        self.statuses: dict[bytes, int] = {}
        self.lengths: dict[bytes, int] = {}

    def next_request(self) -> bytes:
        self.sent += 1
        return self.requests[self.sent % len(self.requests)]

    def reset(self) -> None:
        self.latencies_s = array("d")
        self.statuses = {}


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, _ = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = self._run.lengths.get(head)
        if length is None:
            length = self._run.lengths[head] = len(head) + 4 + _content_length(head)
        if len(self._buffer) < length:
            return
        run = self._run
        run.latencies_s.append(time.perf_counter() - self._began)
        run.statuses[head[9:12]] = run.statuses.get(head[9:12], 0) + 1
        self._buffer = b""
        if run.running:
            self._send()
        else:
            self._transport.close()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._run.next_request())


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise ValueError(f"An answer has no content-length: {head!r}")


async def _load(plan: Plan) -> Outcome:
    run = _Run(signed_requests(plan))
    loop = asyncio.get_running_loop()
    for _ in range(plan.connections):
        await loop.create_connection(lambda: _Connection(run), plan.host, plan.port)
    await asyncio.sleep(plan.warmup_s)
    run.reset()
    began, cpu_began = time.perf_counter(), time.process_time()
    await asyncio.sleep(plan.seconds)
    took, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    run.running = False
    ordered = sorted(run.latencies_s)
    if not ordered:
        raise RuntimeError(f"No answer arrived from {plan.host}:{plan.port}.")
    return Outcome(
        requests_per_s=len(ordered) / took,
        p50_ms=ordered[len(ordered) // 2] * 1000,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1000,
        by_status={status.decode(): count for status, count in run.statuses.items()},
        cpu_s=cpu_s,
    )


if __name__ == "__main__":
    outcome = uvloop.run(_load(Plan(**json.loads(sys.argv[1]))))
    print(json.dumps(asdict(outcome)))
