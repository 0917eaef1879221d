"""Sends single webhooks for a drill, and writes each attempt to a client ledger."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import perf_counter, time
from typing import Final, Literal, NamedTuple

from drills.drill import DrillContext
from payment_pipeline.domain.client_ledger import UNKNOWN, Attempt, dump
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.connection import Connection, NoAnswerError
from payment_pipeline.simulator.faults import UNMODELLED_TYPES
from payment_pipeline.simulator.signing import signature
from payment_pipeline.simulator.simulation_run import Period, midnight
from payment_pipeline.simulator.traffic import events
from payment_pipeline.simulator.world import Event

TIMEOUT_S: Final = 10.0


class Answered(NamedTuple):
    """The answer to one attempt."""

    status: int | Literal["unknown"]
    took_s: float


class Sender:
    """One connection to a gateway, one request at a time. Each attempt is a line of the ledger."""

    def __init__(self, settings: Settings, ledger: Path, port: int | None = None) -> None:
        """Prepare a sender; `port` replaces the gateway port of the settings."""
        self._host = settings.host
        self._port = port or settings.gateway_port
        self._secret = settings.signing_secrets(providers()["stripe"])[0]
        self._ledger = ledger
        self._connection: Connection | None = None

    async def send(
        self,
        event: Event,
        signed: str | None = None,
        body: bytes | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Answered:
        """Make one attempt; `signed` and `body` replace the correct header and body."""
        sent = event.body if body is None else body
        header = signature(sent, self._secret, int(time())) if signed is None else signed
        began, at = perf_counter(), datetime.now(UTC)
        status: int | Literal["unknown"] = UNKNOWN
        try:
            async with asyncio.timeout(timeout_s):
                if self._connection is None or not self._connection.usable:
                    self._connection = await Connection.open(self._host, self._port)
                status = (await self._connection.request(self._head(header, sent), sent)).status
        except (NoAnswerError, OSError, TimeoutError):
            self._connection = None
        took_s = perf_counter() - began
        line = Attempt(event.event_id, sha256(sent).hexdigest(), status, at.isoformat(), None)
        with self._ledger.open("ab") as file:
            file.write(dump(line))
        return Answered(status, took_s)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()

    def _head(self, header: str, body: bytes) -> bytes:
        lines = (
            "POST /webhooks/stripe HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            "Content-Type: application/json",
            f"Stripe-Signature: {header}",
            f"Content-Length: {len(body)}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def modelled_events(context: DrillContext, count: int) -> Iterator[Event]:
    """Simulate events that end in bronze, from a separate market."""
    seed = context.rng.randrange(2**31)
    found = events(seed, 2 * count + 50, Period(midnight(None)))
    kept = (event for event in found if event.type not in UNMODELLED_TYPES)
    return (event for _, event in zip(range(count), kept, strict=False))
