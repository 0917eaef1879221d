"""The activities: they read ranges, get scores, write bronze and start follow-ups.

An activity may run twice, so a second run writes and returns the same as the first. Temporal keeps
the results in its histories, so they hold ids, counts and scores, and never an event.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from time import time_ns
from typing import Any, Final

import asyncpg
import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from payment_pipeline.adapters.kafka_ranges import RangeReader
from payment_pipeline.bronze import bronze_reader, decisions, writer
from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.bronze.writer import Written
from payment_pipeline.dlq import dead_letter_rows
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import BadRecord, FailureClass
from payment_pipeline.domain.features import EntityKey, EntityState, entities, fold
from payment_pipeline.domain.scoring import BATCH_MAX, EventScores, Score, ScoreItem, score_item
from payment_pipeline.orchestrator import messages
from payment_pipeline.orchestrator.messages import (
    Decision,
    FollowUps,
    LateScores,
    OffsetRange,
    PaymentCheck,
    PaymentNow,
    Persisted,
    RangeOutcome,
    Refusal,
)
from payment_pipeline.orchestrator.worker import follow_ups, worker_telemetry
from payment_pipeline.orchestrator.worker.range_events import Batches, write_isolated
from payment_pipeline.orchestrator.worker.scorer import UNAVAILABLE, Scorer, unpack
from payment_pipeline.telemetry import of_event

log = structlog.get_logger()


class Activities:
    """All activities, with the clients that they use."""

    def __init__(
        self,
        client: Client,
        pool: asyncpg.Pool,
        ranges: RangeReader,
        scorer: Scorer,
        rules: follow_ups.ReviewRules,
    ) -> None:
        """The caller closes the clients."""
        self._client = client
        self._pool = pool
        self._ranges = ranges
        self._batches = Batches(ranges)
        self._scorer = scorer
        self._rules = rules

    def all(self) -> list[Callable[..., Any]]:
        """Return all activities, for the worker to register."""
        return [
            self.score_range,
            self.persist_range,
            self.quarantine_events,
            self.quarantine_range,
            self.open_follow_ups,
            self.score_unscored,
            self.persist_scores,
            self.record_decision,
            self.check_payment,
        ]

    @activity.defn(name=messages.SCORE_RANGE)
    async def score_range(self, wanted: OffsetRange) -> bytes:
        """Return the packed scores of the range's distinct events; write nothing."""
        began_ns = time_ns()
        events = (await self._batches.get(wanted)).distinct()
        packed = await self._score(events)
        worker_telemetry.scored(events, began_ns, available=packed != UNAVAILABLE)
        return packed

    @activity.defn(name=messages.PERSIST_RANGE)
    async def persist_range(self, wanted: OffsetRange, packed: bytes) -> Persisted:
        """Write the range's rows; return the counts, the refusals and the follow-ups.

        A second run with the same arguments changes nothing.
        """
        began_ns = time_ns()
        batch = await self._batches.get(wanted)
        rows = _rows(batch.events, packed)
        written = await write_isolated(self._pool, rows, _workflow_id())
        worker_telemetry.written(written, _workflow_id(), began_ns)
        _log_refused(written, _workflow_id())
        refusals = [
            *batch.undecodable,
            *(_refusal(row, FailureClass.CONFLICTING_BODY, _CONFLICT) for row in written.conflicts),
            *(_refusal(row, FailureClass.UNPROCESSABLE, why) for row, why in written.refused),
        ]
        # Only rows that this workflow wrote: a duplicate has had its follow-ups.
        leads_to = follow_ups.find(written.inserted, self._rules)
        await self._record_opened(leads_to, written.inserted)
        outcome = RangeOutcome(
            events=len(batch.events) + len(batch.undecodable),
            inserted=len(written.inserted),
            duplicates=len(written.duplicates),
            quarantined=len(refusals),
            unscored=sum(row.status is InferenceStatus.UNAVAILABLE for row in written.inserted),
            reviews=len(leads_to.reviews),
            recoveries=len(leads_to.recoveries),
        )
        self._batches.drop(wanted)
        for name in ("inserted", "duplicates", "quarantined", "unscored"):
            worker_telemetry.EVENTS.labels(name).inc(getattr(outcome, name))
        for kind in ("reviews", "recoveries"):
            worker_telemetry.FOLLOW_UPS.labels(kind).inc(getattr(outcome, kind))
        return Persisted(outcome, refusals, leads_to)

    @activity.defn(name=messages.QUARANTINE_EVENTS)
    async def quarantine_events(self, refusals: list[Refusal]) -> None:
        """Quarantine events that bronze did not accept, with their signed bodies."""
        began_ns, found = time_ns(), []
        for one in refusals:
            records = await self._ranges.read(one.topic, one.partition, one.offset, one.offset + 1)
            if not records:
                where = f"{one.topic}/{one.partition}/{one.offset}"
                raise ApplicationError(f"no record at {where}", non_retryable=True)
            found.append(
                dead_letter_rows.of_refused(records[0], FailureClass(one.failure), one.reason)
            )
        await self._quarantine(found, began_ns)

    @activity.defn(name=messages.QUARANTINE_RANGE)
    async def quarantine_range(self, wanted: OffsetRange) -> RangeOutcome:
        """Quarantine the dead letters of a range."""
        began_ns = time_ns()
        records = await self._ranges.read(wanted.topic, wanted.partition, wanted.start, wanted.end)
        found = dead_letter_rows.of_dead_letters(records)
        await self._quarantine(found, began_ns)
        worker_telemetry.EVENTS.labels("quarantined").inc(len(found))
        return RangeOutcome(events=len(found), quarantined=len(found))

    @activity.defn(name=messages.OPEN_FOLLOW_UPS)
    async def open_follow_ups(self, wanted: FollowUps) -> None:
        """Start reviews and recoveries, and the rescore if rows have no scores."""
        await follow_ups.start(self._client, wanted, activity.info().task_queue)

    @activity.defn(name=messages.SCORE_UNSCORED)
    async def score_unscored(self) -> LateScores:
        """Score the oldest rows without scores, with today's features.

        Raises:
            ApplicationError: inference is still down; try again later.
        """
        events = await bronze_reader.unscored(self._pool, BATCH_MAX)
        if not events:
            return LateScores(events=0)
        packed = await self._score(events)
        # An event whose features cannot be computed keeps no other event from its scores.
        rows = [row for row in _rows(events, packed) if _is_answered(row)]
        if not rows:
            raise ApplicationError("inference is still unavailable", type="InferenceUnavailable")
        leads_to = follow_ups.find(rows, self._rules)
        await self._record_opened(leads_to, rows)
        return LateScores(len(rows), b64encode(packed).decode(), leads_to)

    @activity.defn(name=messages.PERSIST_SCORES)
    async def persist_scores(self, scores: str) -> int:
        """Write scores to rows that have none; return the number of these rows."""
        events = await bronze_reader.unscored(self._pool, BATCH_MAX)
        rows = _rows(events, b64decode(scores))
        return await writer.rescore(self._pool, list(filter(_is_answered, rows)))

    @activity.defn(name=messages.RECORD_DECISION)
    async def record_decision(self, decision: Decision) -> None:
        """Append a decision to `payment_decisions`."""
        await decisions.record(self._pool, [_decided(decision)])

    @activity.defn(name=messages.CHECK_PAYMENT)
    async def check_payment(self, check: PaymentCheck) -> PaymentNow:
        """Return what bronze knows of a payment since a failed attempt."""
        subject = check.subject
        if await decisions.succeeded(self._pool, subject.provider, subject.payment_id):
            return PaymentNow(succeeded=True)
        newer = await decisions.failed_again(self._pool, subject.provider, check.event_id)
        if newer is None:
            return PaymentNow()
        given = (newer.scores or {}).get("retry_strategy")
        score = Score.model_validate(given) if given is not None else None
        return PaymentNow(
            failed_again=True, advice=follow_ups.advice(score, newer.event_id, newer.occurred_at)
        )

    async def _quarantine(self, found: Sequence[BadRecord], began_ns: int) -> None:
        await writer.quarantine(self._pool, found, _workflow_id())
        worker_telemetry.quarantined(found, _workflow_id(), began_ns)
        for letter in found:
            worker_telemetry.QUARANTINED.labels(letter.failure.value, letter.component).inc()

    async def _record_opened(self, leads_to: FollowUps, rows: Sequence[ScoredEvent]) -> None:
        """Record which payments get a review, so that later readers need not know the threshold.

        The decision's time is the event's receipt, so that a retry records the same row.
        """
        if not leads_to.reviews:
            return
        received_at = {row.event.event_id: row.event.received_at for row in rows}
        opened = (
            follow_ups.opening(review, received_at[review.subject.event_id])
            for review in leads_to.reviews
        )
        await decisions.record(self._pool, map(_decided, opened))

    async def _score(self, events: Sequence[PaymentEvent]) -> bytes:
        keys = {key for event in events for key in entities(event)}
        states = await bronze_reader.states_of(self._pool, sorted(keys)) if keys else {}
        items = list(_items(events, states))
        return await self._scorer.score(items) if items else UNAVAILABLE


def _workflow_id() -> str:
    """Return the id of this activity's workflow; empty for an activity without a workflow."""
    return activity.info().workflow_id or ""


def _log_refused(written: Written, workflow_id: str) -> None:
    """Log one line for each event that goes to the quarantine."""
    for row in written.conflicts:
        failure = FailureClass.CONFLICTING_BODY.value
        log.warning("dead_letter", **of_event(row.event), failure=failure, workflow_id=workflow_id)
    for row, _ in written.refused:
        failure = FailureClass.UNPROCESSABLE.value
        log.warning("dead_letter", **of_event(row.event), failure=failure, workflow_id=workflow_id)


_CONFLICT: Final = "another body came before under the same event id"


def _items(
    events: Sequence[PaymentEvent], states: dict[EntityKey, EntityState]
) -> Iterator[ScoreItem]:
    """Yield each event's features in the log's order; leave out an event whose features fail."""
    for event in events:
        try:
            # One event at a time, so that a defect in our code leaves only that event unscored.
            for _, features in fold((event,), states):
                yield score_item(event, features)
        except Exception:
            log.exception("event_without_features", **of_event(event))


def _rows(events: Sequence[PaymentEvent], packed: bytes) -> list[ScoredEvent]:
    scores = unpack(packed) or {}
    return [_row(event, scores.get(event.event_id)) for event in events]


def _is_answered(row: ScoredEvent) -> bool:
    return row.status is not InferenceStatus.UNAVAILABLE


def _row(event: PaymentEvent, scores: EventScores | None) -> ScoredEvent:
    if scores is None:
        return ScoredEvent(event, None, InferenceStatus.UNAVAILABLE)
    if scores.scored:
        return ScoredEvent(event, scores, InferenceStatus.SCORED)
    return ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE)


def _decided(decision: Decision) -> decisions.Decision:
    subject = decision.subject
    return decisions.Decision(
        workflow_id=decision.workflow_id,
        step=decision.step,
        kind=decision.kind,
        provider=subject.provider,
        payment_id=subject.payment_id,
        event_id=subject.event_id,
        customer_id=subject.customer_id,
        merchant_id=subject.merchant_id,
        outcome=decision.outcome.value,
        decided_at=decision.decided_at,
        fraud_score=decision.fraud_score,
        strategy=decision.strategy,
        due_at=decision.due_at,
        attempts_left=decision.attempts_left,
        decided_by=decision.decided_by,
        note=decision.note,
    )


def _refusal(row: ScoredEvent, failure: FailureClass, reason: str) -> Refusal:
    source = row.event.source
    return Refusal(source.topic, source.partition, source.offset, failure.value, reason)
