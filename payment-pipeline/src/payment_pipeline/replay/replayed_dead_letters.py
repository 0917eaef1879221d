"""Which dead letters does a replay make good, and are they closed once bronze has their events?

A letter is closed only when bronze itself, asked in the same statement, has its event. So a replay
that dies, or doesn't wait, leaves it open, and the next one closes it; and no second one does.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice
from time import monotonic
from typing import Final

import asyncpg

from payment_pipeline.dlq import dead_letter_store
from payment_pipeline.dlq.dead_letter_store import Closer
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.normalizer.step import COMPONENT

PAGE_LETTERS: Final = 1_000
ASK_AGAIN_S: Final = 0.25


class Letters:
    """The open letters that the normalizer left of what is an event today."""

    def __init__(self, pool: asyncpg.Pool, closer: Closer) -> None:
        """`closer` is what `resolved_by` and `resolution_note` say."""
        self._pool = pool
        self._closer = closer
        self._open: dict[int, Coordinates] = {}
        self.closed = 0

    @property
    def open(self) -> int:
        """How many are known and not closed yet."""
        return len(self._open)

    async def find(self, events: Sequence[PaymentEvent]) -> set[str]:
        """Take note of these events' open letters; the hashes of the bodies that have one."""
        found = await dead_letter_store.rejected_by(self._pool, COMPONENT, events)
        self._open.update({letter.id: letter.source for letter in found})
        return {letter.body_sha256 for letter in found}

    async def settle(self, wait_s: float) -> None:
        """Close those whose event bronze has; what is on its way is waited for.

        Raises:
            asyncpg.PostgresError, OSError: PostgreSQL can't do it now; the next replay does.
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
        places = {letter_id: self._open[letter_id] for letter_id in page}
        self.closed += len(await dead_letter_store.settle(self._pool, places, self._closer))
        for letter_id in await dead_letter_store.closed(self._pool, page):  # by whomever
            del self._open[letter_id]
