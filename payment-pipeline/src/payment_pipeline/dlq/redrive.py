"""How do dead letters go on their way again, each once at most, and each with its answer?

A letter's event is put on the raw topic that the gateway would have put it on, with the headers of
its first receipt, and takes the usual way. Bronze arbitrates: its `(provider, event_id)` takes an
event once, whoever sends it how often. A letter is closed only when bronze itself, asked in the
same statement, has its event. So the same call again, after whatever crash, repeats no effect:
what was sent is found there, and what was not is sent.
"""

import asyncio
from collections.abc import Callable, Sequence
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
from .dead_letter_store import Closer
from .large_bodies import Bodies
from .redrive_plan import SETTLED, Held, Letter, Outcome, Ready, plan
from .unmodelled_arrivals import Unmodelled

PAGE_LETTERS: Final = 50
"""Read, judged and sent at a time: their bodies, of up to a megabyte each, are in memory."""
IN_FLIGHT_MAX: Final = 1_000
"""Sent and not settled: more would only wait in Kafka."""
ASK_AGAIN_S: Final = 0.25
WAIT_S_DEFAULT: Final = 60.0
RATE_DEFAULT: Final = 100.0


class Result(NamedTuple):
    """What became of one letter."""

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
    """What is asked of a redrive."""

    closer: Closer
    patch: JsonPatch | None = None
    dry_run: bool = False
    rate: float | None = RATE_DEFAULT
    """Events a second; `None` is as fast as the pipeline takes them."""
    wait_s: float = WAIT_S_DEFAULT
    """How long the pipeline may take over the last ones."""
    body_bytes_max: int = 1_048_576


@dataclass(frozen=True)
class Stores:
    """What a redrive reads and writes."""

    pool: asyncpg.Pool
    bodies: Bodies
    producer: AIOKafkaProducer
    unmodelled: Unmodelled


Progress = Callable[[int, int], None]
"""Told how many letters have their answer, and how many were sent and wait for theirs."""


@dataclass
class Redrive:
    """One call of `payments dlq redrive`."""

    stores: Stores
    request: Request
    progress: Progress
    results: list[Result] = field(default_factory=list)
    _waiting: dict[int, "_Sent"] = field(default_factory=dict)

    async def run(self, ids: Sequence[int]) -> list[Result]:
        """Redrive the letters, in the order of their ids; a closed one is passed over."""
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
            self._answer(one.ready, Outcome.UNDER_WAY, "in no table yet", one.place)
        return self.results

    def _page_letters(self) -> int:
        """Not more than a second's, so that a low rate is an even one."""
        rate = self.request.rate
        return PAGE_LETTERS if not rate else max(1, min(PAGE_LETTERS, int(rate)))

    async def _judge(self, page: Sequence[int]) -> list[Ready]:
        """Those of a page that are worth sending; the others have their answer."""
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
        """Without what bronze has, from an earlier try or from the provider; that is answered."""
        pool, patch = self.stores.pool, self.request.patch
        by_id = {one.letter.id: one for one in ready}
        # What an earlier try says it sent is asked for before this one says otherwise.
        await self._settle_found(by_id)
        await dead_letter_store.intend(
            pool, list(by_id.values()), patches.operations(patch) if patch else None
        )
        await self._settle_found(by_id)
        for letter_id in await dead_letter_store.conflicts(pool, list(by_id)):
            reason = "bronze has its id with another body, and keeps it"
            self._answer(by_id.pop(letter_id), Outcome.CONFLICT, reason)
        return list(by_id.values())

    async def _settle_found(self, by_id: dict[int, Ready]) -> None:
        """Take out and answer those whose event is in bronze."""
        found = await dead_letter_store.settle(
            self.stores.pool, dict.fromkeys(by_id), self.request.closer
        )
        for letter_id, resolution in found.items():
            self._answer(by_id.pop(letter_id), Outcome(resolution))

    async def _send(self, ready: Sequence[Ready]) -> None:
        if any(one.unmodelled for one in ready):
            await self.stores.unmodelled.begin()
        records = [Outgoing(one.topic, one.key, one.body, one.headers) for one in ready]
        places = await send_all(self.stores.producer, records)
        for one, place in zip(ready, places, strict=True):
            self._waiting[one.letter.id] = _Sent(one, place)

    async def _settle(self) -> None:
        """Answer whatever of the sent ones has arrived somewhere."""
        if self._waiting:
            await self._settle_stored()
            await self._settle_unmodelled()
            await self._settle_rejected()
        self.progress(len(self.results), len(self._waiting))

    async def _settle_stored(self) -> None:
        pool, places = self.stores.pool, {i: one.place for i, one in self._waiting.items()}
        for letter_id, resolution in (
            await dead_letter_store.settle(pool, places, self.request.closer)
        ).items():
            self._arrived(letter_id, Outcome(resolution))
        for letter_id, how in (await dead_letter_store.closed(pool, list(self._waiting))).items():
            self._arrived(letter_id, Outcome.CLOSED, how)

    async def _settle_unmodelled(self) -> None:
        seen = await self.stores.unmodelled.seen()
        ids = [letter_id for letter_id, one in self._waiting.items() if one.place in seen]
        if ids:
            closer = self.request.closer
            await dead_letter_store.close(self.stores.pool, ids, Resolution.UNMODELLED, closer)
        for letter_id in ids:
            self._arrived(letter_id, Outcome.UNMODELLED, "no model covers its type")

    async def _settle_rejected(self) -> None:
        """The running code thinks otherwise than this one, or another body was faster."""
        waiting = {one.place: letter_id for letter_id, one in self._waiting.items()}
        found = await dead_letter_store.rejections(self.stores.pool, list(waiting))
        if not found:
            return
        # The letter itself stays open: what this try left is closed as a duplicate of it.
        closer = Closer(self.request.closer.by, "left by a redrive")
        duplicates = [rejection.id for rejection in found.values()]
        await dead_letter_store.close(self.stores.pool, duplicates, Resolution.DUPLICATE, closer)
        for place, rejection in found.items():
            reason = f"{rejection.failure}, {rejection.error}"
            self._arrived(waiting[place], Outcome.REJECTED, reason)

    def _arrived(self, letter_id: int, outcome: Outcome, reason: str | None = None) -> None:
        one = self._waiting.pop(letter_id)
        self._answer(one.ready, outcome, reason, one.place)

    def _hold(self, held: Held) -> None:
        self._result(held.letter, held.outcome, held.reason)

    def _answer(
        self,
        ready: Ready,
        outcome: Outcome,
        reason: str | None = None,
        place: Coordinates | None = None,
    ) -> None:
        patched = ready.body_sha256 != ready.letter.body_sha256
        sent_to = str(place) if place else None
        # The id that could be read by now: what the gateway couldn't read had none.
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


class _Sent(NamedTuple):
    """On its way."""

    ready: Ready
    place: Coordinates


def all_settled(results: Sequence[Result]) -> bool:
    """Whether none of the letters is open any more."""
    return all(result.outcome in SETTLED for result in results)
