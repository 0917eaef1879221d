"""Redrives dead letters: sends their events through the pipeline again, and records the outcome.

The event is sent to the raw topic that the gateway would have used, with the headers of its first
receipt. From there it takes the usual way. Bronze keeps each `(provider, event_id)` once, however
often it is sent. A dead letter is closed only if bronze has its event; the same statement asks. So
a redrive may be repeated after any crash: it finds the events that were sent, and sends the rest.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import Final, NamedTuple

import asyncpg
from aiokafka import AIOKafkaProducer
from jsonpatch import JsonPatch

from payment_pipeline.adapters.kafka import Outgoing, send_all
from payment_pipeline.bronze.contract import Resolution
from payment_pipeline.domain.raw import Coordinates

from . import dead_letter_store
from . import json_patch as patches
from .dead_letter_store import Closer, Sent
from .redrive_plan import SETTLED, Held, Letter, Outcome, Ready, plan
from .redrive_topics import Bodies, Unmodelled

PAGE_LETTERS: Final = 50
"""Dead letters read and sent at a time. Their bodies, up to a megabyte each, are in memory."""
IN_FLIGHT_MAX: Final = 1_000
"""Events sent and not settled. More would only wait in Kafka."""
ASK_AGAIN_S: Final = 0.25
WAIT_S_DEFAULT: Final = 60.0
RATE_DEFAULT: Final = 100.0


class Result(NamedTuple):
    """The outcome of one dead letter."""

    letter_id: int
    event_id: str | None
    failure: str
    outcome: Outcome
    reason: str | None = None
    patched: bool = False
    sent_to: str | None = None
    """`topic/partition/offset` of the record that was sent."""


@dataclass(frozen=True)
class Request:
    """The parameters of a redrive."""

    closer: Closer
    patch: JsonPatch | None = None
    dry_run: bool = False
    rate: float | None = RATE_DEFAULT
    """Events per second; `None`: as fast as the pipeline takes them."""
    wait_s: float = WAIT_S_DEFAULT
    """Seconds to wait for the outcome of the last events."""
    body_bytes_max: int = 1_048_576


@dataclass(frozen=True)
class Stores:
    """The clients that a redrive uses."""

    pool: asyncpg.Pool
    bodies: Bodies
    producer: AIOKafkaProducer
    unmodelled: Unmodelled


Progress = Callable[[int, int], None]
"""Is called with the number of dead letters with an outcome, and the number sent without one."""


@dataclass
class Redrive:
    """One call of `payments dlq redrive`."""

    stores: Stores
    request: Request
    progress: Progress
    results: list[Result] = field(default_factory=list)
    _waiting: dict[int, "_Waiting"] = field(default_factory=dict)

    async def run(self, ids: Sequence[int]) -> list[Result]:
        """Redrive dead letters in the order of their ids. Closed ones are skipped."""
        began, sent = monotonic(), 0
        rest = iter(ids)
        while page := list(islice(rest, self._page_letters())):
            ready = await self._judge(page)
            if self.request.dry_run:
                self.progress(len(self.results), 0)
                continue
            ready = await self._settle_before(ready)
            await self._send(ready)
            sent += len(ready)
            await self._settle()
            while len(self._waiting) > IN_FLIGHT_MAX:
                await asyncio.sleep(ASK_AGAIN_S)
                await self._settle()
            if self.request.rate:
                await asyncio.sleep(max(0.0, began + sent / self.request.rate - monotonic()))
        deadline = monotonic() + self.request.wait_s
        while self._waiting and monotonic() < deadline:
            await asyncio.sleep(ASK_AGAIN_S)
            await self._settle()
        for one in self._waiting.values():
            self._answer(one.ready, Outcome.UNDER_WAY, "in no table yet", one.at)
        return self.results

    def _page_letters(self) -> int:
        """Return the page size: at most one second of the rate, so that a low rate is even."""
        rate = self.request.rate
        return PAGE_LETTERS if not rate else max(1, min(PAGE_LETTERS, int(rate)))

    async def _judge(self, page: Sequence[int]) -> list[Ready]:
        """Return the dead letters of a page to send. The others get their outcome here."""
        ready: list[Ready] = []
        for letter in await dead_letter_store.letters(self.stores.pool, page):
            whole = await self.stores.bodies.of(letter)
            planned = plan(whole, self.request.patch, self.request.body_bytes_max)
            if isinstance(planned, Held):
                self._hold(planned)
            elif self.request.dry_run:
                self._answer(planned, Outcome.READY)
            else:
                ready.append(planned)
        return ready

    async def _settle_before(self, ready: Sequence[Ready]) -> list[Ready]:
        """Return the dead letters whose event is not in bronze. The others get their outcome."""
        pool, patch = self.stores.pool, self.request.patch
        by_id = {one.letter.id: one for one in ready}
        # Settle what an earlier attempt sent, before this attempt overwrites what it stored.
        await self._settle_found(by_id)
        await dead_letter_store.intend(
            pool, list(by_id.values()), patches.operations(patch) if patch else None
        )
        await self._settle_found(by_id)
        for letter_id in await dead_letter_store.conflicts(pool, _intended(by_id)):
            reason = "bronze keeps another body with the same event id"
            self._answer(by_id.pop(letter_id), Outcome.CONFLICT, reason)
        return list(by_id.values())

    async def _settle_found(self, by_id: dict[int, Ready]) -> None:
        """Remove the dead letters whose event is in bronze, and record their outcome."""
        found = await dead_letter_store.settle(
            self.stores.pool, _intended(by_id), self.request.closer
        )
        for letter_id, resolution in found.items():
            self._answer(by_id.pop(letter_id), Outcome(resolution))

    async def _send(self, ready: Sequence[Ready]) -> None:
        if any(one.unmodelled for one in ready):
            await self.stores.unmodelled.begin()
        records = [Outgoing(one.topic, one.key, one.body, one.headers) for one in ready]
        sent_to = await send_all(self.stores.producer, records)
        for one, at in zip(ready, sent_to, strict=True):
            self._waiting[one.letter.id] = _Waiting(one, at)

    async def _settle(self) -> None:
        """Record the outcome of every sent event that has reached a destination."""
        if self._waiting:
            await self._settle_stored()
            await self._settle_unmodelled()
            await self._settle_rejected()
        self.progress(len(self.results), len(self._waiting))

    async def _settle_stored(self) -> None:
        pool, waiting = self.stores.pool, self._waiting.items()
        sent = {i: Sent(one.at, one.ready.identity_sha256) for i, one in waiting}
        for letter_id, resolution in (
            await dead_letter_store.settle(pool, sent, self.request.closer)
        ).items():
            self._arrived(letter_id, Outcome(resolution))
        for letter_id, how in (await dead_letter_store.closed(pool, list(self._waiting))).items():
            self._arrived(letter_id, Outcome.CLOSED, how)

    async def _settle_unmodelled(self) -> None:
        seen = await self.stores.unmodelled.seen()
        ids = [letter_id for letter_id, one in self._waiting.items() if one.at in seen]
        if ids:
            closer = self.request.closer
            await dead_letter_store.close(self.stores.pool, ids, Resolution.UNMODELLED, closer)
        for letter_id in ids:
            self._arrived(letter_id, Outcome.UNMODELLED, "no model covers its type")

    async def _settle_rejected(self) -> None:
        """Handle new rejections: the running code differs from this one, or bronze conflicts."""
        waiting = {one.at: letter_id for letter_id, one in self._waiting.items()}
        found = await dead_letter_store.rejections(self.stores.pool, list(waiting))
        if not found:
            return
        # The dead letter stays open. The new one of this attempt is closed as its duplicate.
        closer = Closer(self.request.closer.by, "left by a redrive")
        duplicates = [rejection.id for rejection in found.values()]
        await dead_letter_store.close(self.stores.pool, duplicates, Resolution.DUPLICATE, closer)
        for at, rejection in found.items():
            reason = f"{rejection.failure}, {rejection.error}"
            self._arrived(waiting[at], Outcome.REJECTED, reason)

    def _arrived(self, letter_id: int, outcome: Outcome, reason: str | None = None) -> None:
        one = self._waiting.pop(letter_id)
        self._answer(one.ready, outcome, reason, one.at)

    def _hold(self, held: Held) -> None:
        self._result(held.letter, held.outcome, held.reason)

    def _answer(
        self,
        ready: Ready,
        outcome: Outcome,
        reason: str | None = None,
        at: Coordinates | None = None,
    ) -> None:
        patched = ready.body_sha256 != ready.letter.body_sha256
        sent_to = str(at) if at else None
        # The event id as it is read now: the gateway may not have been able to read it.
        named = ready.letter._replace(event_id=ready.event_id)
        self._result(named, outcome, reason, patched=patched, sent_to=sent_to)

    def _result(
        self,
        letter: Letter,
        outcome: Outcome,
        reason: str | None = None,
        *,
        patched: bool = False,
        sent_to: str | None = None,
    ) -> None:
        self.results.append(
            Result(letter.id, letter.event_id, letter.failure, outcome, reason, patched, sent_to)
        )


class _Waiting(NamedTuple):
    """An event that was sent and has no outcome yet."""

    ready: Ready
    at: Coordinates


def _intended(by_id: Mapping[int, Ready]) -> dict[int, Sent]:
    return {i: Sent(identity=one.identity_sha256) for i, one in by_id.items()}


def all_settled(results: Sequence[Result]) -> bool:
    """Tell whether all dead letters are closed now."""
    return all(result.outcome in SETTLED for result in results)
