"""A gateway that answers 200 before the broker acknowledges. Control of drills 2 and 10."""

import asyncio
from contextlib import suppress
from unittest.mock import patch

from payment_pipeline import telemetry
from payment_pipeline.domain.headers import Headers
from payment_pipeline.gateway import server
from payment_pipeline.gateway.__main__ import main
from payment_pipeline.gateway.publisher import NotPublishedError, Publisher


class EagerPublisher(Publisher):
    """Gives each record to the producer and does not wait for the acknowledgement."""

    _sends: set[asyncio.Task[None]] = set()  # noqa: RUF012 - one publisher a process

    async def publish(self, topic: str, key: bytes | None, body: bytes, headers: Headers) -> None:
        """Start to publish, and return at once."""
        send = asyncio.create_task(self._publish(topic, key, body, headers))
        self._sends.add(send)
        send.add_done_callback(self._sends.discard)

    async def _publish(self, topic: str, key: bytes | None, body: bytes, headers: Headers) -> None:
        with suppress(NotPublishedError):
            await super().publish(topic, key, body, headers)


if __name__ == "__main__":
    with patch.object(server, "Publisher", EagerPublisher):
        telemetry.run(main)
