"""Sends deliveries at a pace, signs each at the moment of sending, and retries.

The sender retries a delivery after a pause when the answer is a 5xx or 429, or when no answer
arrives. Stripe's pauses grow over three days. These pauses grow over about two minutes, and are
never shorter than the answer's `Retry-After`. When a delivery has used all its attempts, the sender
assumes that the target is gone and stops. A connection sends nothing else during a pause, so a
gateway that answers 503 gets less traffic.
"""

import asyncio
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from time import perf_counter, time
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from payment_pipeline.domain.client_ledger import UNKNOWN
from payment_pipeline.domain.failures import UserError

from .answer_tally import Status, Tally, digest_of
from .connection import Answer, Connection, NoAnswerError
from .faults import Delivery
from .signing import forged, signature

TRIES_MAX: Final = 14
FIRST_PAUSE_S: Final = 0.25
PAUSE_S_MAX: Final = 15.0
BURST_EVERY_S: Final = 5.0


class Target(NamedTuple):
    """The address to send to, and the secret to sign with."""

    host: str
    port: int
    path: str
    secret: str


class Pace(NamedTuple):
    """The speed of sending."""

    rate_per_s: float | None = None
    """`None` means as fast as the target answers."""
    burst: int = 0
    """How many deliveries are sent at once every `BURST_EVERY_S`, in addition to the rate."""

    def due_s(self, index: int) -> float:
        """Return when the delivery with this index is due, in seconds from the start."""
        if self.rate_per_s is None:
            return 0.0
        if not self.burst:
            return index / self.rate_per_s
        cycle, within = divmod(index, round(self.rate_per_s * BURST_EVERY_S) + self.burst)
        steady = max(0, within - self.burst) / self.rate_per_s
        return cycle * BURST_EVERY_S + steady


def target(url: str, secret: str) -> Target:
    """Parse the URL of the target.

    Raises:
        UserError: the URL is not plain HTTP on a loopback address. The simulator must not send load
            to another machine.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise UserError(
            f"{url} is not an http:// URL. Give one like http://127.0.0.1:8000/webhooks/stripe."
        )
    if not _is_loopback(parts.hostname):
        raise UserError(
            f"{parts.hostname} is not a loopback address. The simulator sends to 127.0.0.1, ::1 or "
            "localhost only."
        )
    return Target(parts.hostname, parts.port or 80, parts.path or "/", secret)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def require_reachable(to: Target) -> None:
    """Connect once, to check that the target is reachable.

    Raises:
        UserError: no process listens on the target's address.
    """
    try:
        (await Connection.open(to.host, to.port)).close()
    except OSError:
        raise UserError(
            f"Nothing listens on {to.host}:{to.port}. Start the pipeline first (make pipeline-up)."
        ) from None


async def send(
    deliveries: Iterable[Delivery],
    to: Target,
    tally: Tally,
    *,
    pace: Pace,
    connections: int,
    timeout_s: float,
) -> None:
    """Send all deliveries. Return when each has its last answer, or one has used all its attempts.

    Args:
        deliveries: taken one by one as connections become free, so a generator works.
        to: the target.
        tally: counts every attempt.
        pace: the speed of sending.
        connections: the highest number of requests at the same time.
        timeout_s: an attempt without an answer after this time counts as unknown.
    """
    source = iter(deliveries)
    tally.began = perf_counter()
    schedule = _scheduled(source, pace, tally)
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_Worker(to, tally, timeout_s).work(schedule))


def _scheduled(
    source: Iterator[Delivery], pace: Pace, tally: Tally
) -> Iterator[tuple[float, Delivery]]:
    for index, delivery in enumerate(source):
        if tally.gave_up:
            return
        yield tally.began + pace.due_s(index), delivery


class _Worker:
    """Sends deliveries over one connection."""

    def __init__(self, to: Target, tally: Tally, timeout_s: float) -> None:
        self._to = to
        self._tally = tally
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        host = f"[{to.host}]" if ":" in to.host else to.host
        self._head = (
            f"POST {to.path} HTTP/1.1\r\nHost: {host}:{to.port}\r\n"
            "User-Agent: payments-simulate\r\nAccept: */*\r\n"
            "Content-Type: application/json; charset=utf-8\r\n"
        )

    async def work(self, schedule: Iterator[tuple[float, Delivery]]) -> None:
        """Send each delivery when it is due, until none is left."""
        try:
            for due, delivery in schedule:
                wait_s = due - perf_counter()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                await self._deliver(delivery)
        finally:
            if self._connection is not None:
                self._connection.close()

    async def _deliver(self, delivery: Delivery) -> None:
        digest = digest_of(delivery.body)
        status: Status = UNKNOWN
        for attempt in range(TRIES_MAX):
            answer = await self._attempt(delivery, digest)
            status = answer.status if answer else UNKNOWN
            if answer and not _asks_again(answer.status):
                break
            if self._tally.gave_up or attempt + 1 == TRIES_MAX:
                self._tally.gave_up = True
                break
            growing_s = min(FIRST_PAUSE_S * 2**attempt, PAUSE_S_MAX)
            asked_s = answer.retry_after_s if answer else None
            await asyncio.sleep(max(growing_s, asked_s or 0.0))
        self._tally.delivered(delivery, digest, status)

    async def _attempt(self, delivery: Delivery, digest: str) -> Answer | None:
        """Send one request. Return `None` if no answer arrived."""
        at_s, began = time(), perf_counter()
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._connection is None or not self._connection.usable:
                    self._connection = await Connection.open(self._to.host, self._to.port)
                    began = perf_counter()
                answer = await self._connection.request(self._heads(delivery, at_s), delivery.body)
        except (NoAnswerError, OSError, TimeoutError):
            self._connection = None
        took_ms = (perf_counter() - began) * 1000
        status: Status = answer.status if answer else UNKNOWN
        self._tally.attempted(delivery, digest, status, at_s, took_ms)
        return answer

    def _heads(self, delivery: Delivery, at_s: float) -> bytes:
        body, secret = delivery.body, self._to.secret
        signed = (
            signature(body, secret, int(at_s))
            if delivery.forgery is None
            else forged(delivery.forgery, body, secret, int(at_s))
        )
        line = f"Stripe-Signature: {signed}\r\n" if signed else ""
        return f"{self._head}{line}Content-Length: {len(body)}\r\n\r\n".encode()


def _asks_again(status: int) -> bool:
    return status >= 500 or status == 429
