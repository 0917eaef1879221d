"""Replays one batch of raw records. Bronze is compared first, and written only where it differs.

raw record ─ today's normalizer ─┬─ equal to bronze             nothing is written
                                 ├─ different from bronze       corrected in place
                                 ├─ in no table                 sent on, like a new event
                                 ├─ unmodelled, on no topic     sent on too
                                 ├─ has an open dead letter     sent on, the dead letter is closed
                                 ├─ rejected and in no table    written to the quarantine
                                 └─ a person must decide        named, not changed
"""

from collections.abc import Iterable, Sequence, Set
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple

import asyncpg
from aiokafka import AIOKafkaProducer

from payment_pipeline.adapters.kafka import Outgoing, raw_event, send_all
from payment_pipeline.bronze import corrections, erased, writer
from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.corrections import Correction
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.dlq.dead_letter_rows import of_dead_letters
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import BadRecord, Unmodelled
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.normalizer.step import message, normalize
from payment_pipeline.providers import Context, providers

from .raw_records import Record
from .replay_outcome import ReplayOutcome, Report
from .replayed_dead_letters import Letters

# PostgreSQL's error classes 22 (data) and 23 (constraints): a retry can't help.
_REFUSALS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


class Request(NamedTuple):
    """The parameters of a replay."""

    window: Window
    provider: str | None = None
    event_type: str | None = None
    """The provider's or the provider-neutral event type."""
    dry_run: bool = False
    rate: float = 0.0
    """Most raw records per second; 0: no limit."""
    wait_s: float = 60.0
    """Seconds to wait until the pipeline has written the events of dead letters."""


class Stores(NamedTuple):
    """The clients that a replay uses. The caller closes them."""

    pool: asyncpg.Pool
    sink: AIOKafkaProducer
    letters: Letters
    unmodelled: Set[bytes]
    """The SHA-256 of each body on `payments.unmodelled`."""


class _Work(NamedTuple):
    record: Record
    raw: RawEvent
    outcome: PaymentEvent | BadRecord | Unmodelled


class Replayed:
    """Replays batches, and counts their outcomes in a report."""

    def __init__(self, stores: Stores, context: Context, request: Request, report: Report) -> None:
        self._stores = stores
        self._context = context
        self._request = request
        self._report = report

    async def batch(self, records: Sequence[Record]) -> None:
        """Normalize records again, and correct bronze where it differs.

        Raises:
            asyncpg.PostgresError, OSError, UserError: a store failed. A repeat is safe.
        """
        works = self._wanted(records)
        self._report.records += len(works)
        await self._replay_events(works)
        await self._replay_others(works)

    def _wanted(self, records: Iterable[Record]) -> list[_Work]:
        """Normalize the records that the request includes."""
        found, now = [], datetime.now(UTC)
        for record in records:
            raw = raw_event(record)
            if raw.received_at not in self._request.window:
                continue
            if self._request.provider not in (None, raw.provider):
                continue
            outcome = self._normalized(record, raw, now)
            known_as = {raw.event_type, getattr(outcome, "event_type", None)}
            if self._request.event_type is None or self._request.event_type in known_as:
                found.append(_Work(record, raw, outcome))
        return found

    def _normalized(
        self, record: Record, raw: RawEvent, now: datetime
    ) -> PaymentEvent | BadRecord | Unmodelled:
        if record.topic == topics.DLQ_WEBHOOKS:
            return of_dead_letters([record])[0]
        return normalize(raw, providers()[raw.provider], self._context, now)

    async def _replay_events(self, works: Sequence[_Work]) -> None:
        """Handle the records that are events today."""
        works_by_source = {each.raw.coordinates: each for each in works}
        outcomes = [each.outcome for each in works]
        events = [each for each in outcomes if not isinstance(each, BadRecord | Unmodelled)]
        # Later events of an erased person have a token, and keep it.
        rows = [ScoredEvent(event, None, InferenceStatus.UNAVAILABLE) for event in events]
        events = [row.event for row in await erased.with_tokens(self._stores.pool, rows)]
        compared = await corrections.compare(self._stores.pool, events)
        self._report.outcomes[ReplayOutcome.UNCHANGED] += len(compared.unchanged)
        await self._correct(compared.corrections)
        kept = await corrections.quarantined(
            self._stores.pool, [*compared.absent, *compared.others]
        )
        in_bronze = [*compared.unchanged, *(each.event for each in compared.corrections)]
        mended = await self._stores.letters.find([*in_bronze, *compared.absent])
        wanted = []
        for event in (*compared.absent, *compared.others):
            if not _is_in(event, kept):
                wanted.append(works_by_source[event.source])
                self._note(ReplayOutcome.SENT_ON, event, "in no table")
            elif _is_in(event, mended):
                wanted.append(works_by_source[event.source])
                self._note(ReplayOutcome.MENDED, event, "rejected at its receipt")
        await self._send_on(wanted)
        for event in compared.absent:
            if _is_in(event, kept) and not _is_in(event, mended):
                self._note(ReplayOutcome.REDRIVABLE, event, "in the quarantine")
        still = sum(_is_in(e, kept) and not _is_in(e, mended) for e in compared.others)
        self._report.outcomes[ReplayOutcome.STILL_REJECTED] += still

    async def _correct(self, wanted: Sequence[Correction]) -> None:
        if not self._request.dry_run:
            wanted = await self._corrected([each.event for each in wanted])
        for correction in wanted:
            self._report.columns.update(correction.columns)
            self._note(ReplayOutcome.CORRECTED, correction.event, ", ".join(correction.columns))

    async def _corrected(self, events: Sequence[PaymentEvent]) -> list[Correction]:
        """Correct in one transaction; one by one if PostgreSQL refuses one of them."""
        if not events:
            return []
        try:
            return await corrections.correct(self._stores.pool, events, self._report.by)
        except _REFUSALS as refusal:
            if len(events) == 1:
                about = f"PostgreSQL: {type(refusal).__name__}"
                self._note(ReplayOutcome.NO_LONGER_TAKEN, events[0], about)
                return []
        return [each for event in events for each in await self._corrected([event])]

    async def _replay_others(self, works: Sequence[_Work]) -> None:
        """Handle the records that are no events today, and so should not be in bronze."""
        works = [each for each in works if isinstance(each.outcome, BadRecord | Unmodelled)]
        in_bronze = await corrections.bodies(
            self._stores.pool, [(each.raw.provider, each.raw.event_id or "") for each in works]
        )
        letters, unmodelled = [], []
        for work in works:
            raw, outcome = work.raw, work.outcome
            if raw.body_sha256 in in_bronze:
                about = outcome.failure if isinstance(outcome, BadRecord) else "unmodelled"
                self._report.note(ReplayOutcome.NO_LONGER_TAKEN, raw.provider, raw.event_id, about)
            elif isinstance(outcome, BadRecord):
                letters.append(outcome)
            else:
                unmodelled.append(work)
        await self._unmodelled(unmodelled)
        absent = await corrections.without_letter(self._stores.pool, letters)
        self._report.outcomes[ReplayOutcome.STILL_REJECTED] += len(letters) - len(absent)
        for letter in absent:
            self._report.note(
                ReplayOutcome.QUARANTINED, letter.provider, letter.event_id, letter.failure
            )
        if absent and not self._request.dry_run:
            await writer.quarantine(self._stores.pool, absent, self._report.by)

    async def _unmodelled(self, works: Sequence[_Work]) -> None:
        """Send on the unmodelled records that are on no topic and in no quarantine."""
        kept = await corrections.quarantined(self._stores.pool, [each.raw for each in works])
        lost = [
            each
            for each in works
            if not _is_in(each.raw, kept)
            and sha256(each.raw.body).digest() not in self._stores.unmodelled
        ]
        self._report.outcomes[ReplayOutcome.UNMODELLED] += len(works) - len(lost)
        for raw in (each.raw for each in lost):
            self._report.note(ReplayOutcome.SENT_ON, raw.provider, raw.event_id, "unmodelled")
        await self._send_on(lost)

    async def _send_on(self, works: Sequence[_Work]) -> None:
        if self._request.dry_run or not works:
            return
        records = []
        for work in works:
            topic, value, headers = message(work.outcome, work.raw, work.record.headers)
            records.append(Outgoing(topic, work.record.key, value, headers))
        await send_all(self._stores.sink, records)

    def _note(self, outcome: ReplayOutcome, event: PaymentEvent, about: str) -> None:
        self._report.note(outcome, event.provider, event.event_id, about)


def _is_in(event: PaymentEvent | RawEvent, hashes: Set[str]) -> bool:
    """Tell whether these hashes of bodies and identities include an event."""
    return event.body_sha256 in hashes or event.identity_sha256 in hashes
