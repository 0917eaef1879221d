"""The dead letters that a replay repairs. Each is closed when bronze has its event.

One statement asks bronze for the event and closes the dead letter. A replay that crashes, or does
not wait, leaves it open, and the next replay closes it.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice
from time import monotonic
from typing import Final

import asyncpg

from payment_pipeline.dlq import dead_letter_store
from payment_pipeline.dlq.dead_letter_store import Closer, Sent
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.normalizer.step import COMPONENT

PAGE_LETTERS: Final = 1_000
ASK_AGAIN_S: Final = 0.25


class Letters:
    """The normalizer's open dead letters whose bodies are events today."""

    def __init__(self, pool: asyncpg.Pool, closer: Closer) -> None:
        """`closer` is stored in `resolved_by` and `resolution_note`."""
        self._pool = pool
        self._closer = closer
        self._open: dict[int, Coordinates] = {}
        self.closed = 0

    @property
    def open(self) -> int:
        """The number of dead letters found and not closed yet."""
        return len(self._open)

    async def find(self, events: Sequence[PaymentEvent]) -> set[str]:
        """Find the open dead letters of these events.

        Returns:
            The hashes of their bodies and of their identities.
        """
        found = await dead_letter_store.rejected_by(self._pool, COMPONENT, events)
        self._open.update({letter.id: letter.source for letter in found})
        hashes = {letter.body_sha256 for letter in found}
        return hashes | {letter.identity_sha256 for letter in found if letter.identity_sha256}

    async def settle(self, wait_s: float) -> None:
        """Close the dead letters whose event is in bronze; wait for events in progress.

        Raises:
            asyncpg.PostgresError, OSError: PostgreSQL failed. The next replay closes them.
        """
        deadline = monotonic() + wait_s
        while self._open:
            ids = iter(tuple(self._open))
            while page := list(islice(ids, PAGE_LETTERS)):
                await self._settle(page)
            if not self._open or monotonic() >= deadline:
                return
            await asyncio.sleep(ASK_AGAIN_S)

    async def _settle(self, page: Sequence[int]) -> None:
        sent = {letter_id: Sent(self._open[letter_id]) for letter_id in page}
        self.closed += len(await dead_letter_store.settle(self._pool, sent, self._closer))
        for letter_id in await dead_letter_store.closed(self._pool, page):  # by anyone
            del self._open[letter_id]
