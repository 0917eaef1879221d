"""A gateway that answers before the broker has acknowledged: it says 200 to what may be lost."""

import asyncio
from contextlib import suppress
from unittest.mock import patch

from payment_pipeline import telemetry
from payment_pipeline.domain.headers import Headers
from payment_pipeline.gateway import server
from payment_pipeline.gateway.__main__ import main
from payment_pipeline.gateway.publisher import NotPublishedError, Publisher


class EagerPublisher(Publisher):
    """Hands the record to the producer, and hopes."""

    _sends: set[asyncio.Task[None]] = set()  # noqa: RUF012 - one publisher a process

    async def publish(self, topic: str, key: bytes | None, body: bytes, headers: Headers) -> None:
        """Return at once."""
        send = asyncio.create_task(self._hope(topic, key, body, headers))
        self._sends.add(send)
        send.add_done_callback(self._sends.discard)

    async def _hope(self, topic: str, key: bytes | None, body: bytes, headers: Headers) -> None:
        with suppress(NotPublishedError):
            await super().publish(topic, key, body, headers)


if __name__ == "__main__":
    with patch.object(server, "Publisher", EagerPublisher):
        telemetry.run(main)
