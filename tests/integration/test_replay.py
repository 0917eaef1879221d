"""Tests that a replay brings bronze to what today's normalizer makes of the raw records.

The simulator makes the raw records. The tests write the rows of an earlier normalizer to bronze:
most are right, some are wrong, some are absent.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition

from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.adapters.kafka_ranges import RangeReader
from payment_pipeline.bronze import feature_states, writer
from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import KINDS, PAYMENT_EVENT, Charge, EventBase, PaymentEvent
from payment_pipeline.domain.failures import BadRecord, Rejected, Unmodelled, UserError
from payment_pipeline.domain.features import EntityKey, EntityState, fold
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.normalizer.step import normalize
from payment_pipeline.normalizer.version import normalizer_version
from payment_pipeline.providers import Context, Envelope, providers, source
from payment_pipeline.replay import replay_runner as replaying
from payment_pipeline.replay.replay_batch import Request
from payment_pipeline.replay.replay_outcome import ReplayOutcome, Report
from payment_pipeline.settings import Settings
from payment_pipeline.simulator import traffic
from support import commands
from support.pairs import pairs
from support.unmodelled import UNMODELLED_TYPE

pytestmark = pytest.mark.stack

STRIPE = providers()["stripe"]
BROKEN = SimpleNamespace(normalize=lambda _raw, _context: 1 / 0)
"""A provider with a defect, with the only method that the step calls."""
PERIOD = traffic.Period(until=datetime(2026, 6, 30, tzinfo=UTC))
COUNT = 300


@dataclass
class Received:
    """The records on the raw topics, and bronze."""

    settings: Settings
    pool: asyncpg.Pool
    since: datetime
    raws: list[RawEvent] = field(default_factory=list)

    def events(self) -> list[PaymentEvent]:
        """The events that an earlier normalizer without bugs made of the records."""
        context = Context(self.settings.secret("pseudonym_key").encode(), "0")
        made = [normalized(raw, context) for raw in self.raws]
        return [each for each in made if not isinstance(each, Rejected | Unmodelled)]

    async def write(self, events: Sequence[PaymentEvent]) -> None:
        rows = [ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE) for event in events]
        await writer.write(self.pool, rows, "test")

    async def reject(self, events: Sequence[PaymentEvent]) -> None:
        """Write the dead letters that a normalizer with a bug would leave, in order."""
        raws = {raw.coordinates: raw for raw in self.raws}
        now, context = datetime.now(UTC), Context(b"", "0")
        made = [normalize(raws[event.source], BROKEN, context, now) for event in events]
        letters = [each for each in made if isinstance(each, BadRecord)]
        await writer.quarantine(self.pool, letters, "test")

    async def replay(self, request: Request | None = None) -> Report:
        wanted = request or Request(self.window())
        return await replaying.replay(self.settings, wanted, lambda _: None)

    def window(self) -> Window:
        return Window(self.since, datetime.now(UTC))

    async def states(self) -> dict[EntityKey, EntityState]:
        found = feature_states.to_states(await self.pool.fetch("SELECT * FROM entity_features"))
        return {key: state for key, state in found.items() if state != EntityState()}

    async def leave_unmodelled(self, raws: Sequence[RawEvent]) -> None:
        """Copies of genuine events without a model, as a normalizer leaves them."""
        async with kafka.producer(self.settings) as sink:
            for raw in raws:
                await sink.send_and_wait(topics.UNMODELLED, raw.body)

    def unmodelled(self) -> list[RawEvent]:
        context = Context(b"", "0")
        return [raw for raw in self.raws if isinstance(normalized(raw, context), Unmodelled)]

    async def send(self, bodies: Sequence[bytes], provider: str = "stripe") -> None:
        """Put webhooks on the raw topics, as the gateway does."""
        async with kafka.producer(self.settings) as sink:
            for body in bodies:
                self.raws.append(await self._send(sink, body, provider))

    async def _send(self, sink: AIOKafkaProducer, body: bytes, provider: str) -> RawEvent:
        envelope = providers()[provider].read(body)
        assert isinstance(envelope, Envelope)
        topic, key = topics.raw(provider, envelope.resource), envelope.key.encode()
        now = datetime.now(UTC)
        given = {
            names.CE_ID: envelope.event_id,
            names.CE_TYPE: envelope.event_type,
            names.CE_SOURCE: source(provider),
            names.BODY_SHA256: sha256(body).hexdigest(),
            names.RECEIVED_AT: now.isoformat(),
            names.VERDICT: f"verified:{provider}:test",
        }
        if envelope.identity_sha256 is not None:
            given[names.IDENTITY_SHA256] = envelope.identity_sha256
        headers = [(name, value.encode()) for name, value in given.items()]
        place = kafka.partition_of(key, self.settings.kafka_partitions)
        at = await sink.send_and_wait(topic, body, key, place, headers=headers)
        return RawEvent(
            provider=provider,
            coordinates=Coordinates(topic=topic, partition=at.partition, offset=at.offset),
            body=body,
            event_id=envelope.event_id,
            body_sha256=given[names.BODY_SHA256],
            received_at=now,
            verdict=given[names.VERDICT],
            traceparent=None,
            event_type=envelope.event_type,
            identity_sha256=envelope.identity_sha256,
        )


def normalized(raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
    return providers()[raw.provider].normalize(raw, context)


def wrong(event: PaymentEvent) -> PaymentEvent:
    """The event as a normalizer with a bug would make it."""
    if isinstance(event, Charge) and event.amount_minor:
        return event.model_copy(update={"amount_minor": event.amount_minor * 100})
    return event


async def ends(settings: Settings, topic: str) -> dict[TopicPartition, int]:
    async with kafka.consumer(settings, group=None) as consumer:
        places = [TopicPartition(topic, number) for number in range(settings.kafka_partitions)]
        return dict(await consumer.end_offsets(places))


async def came(settings: Settings, topic: str, after: dict[TopicPartition, int]) -> list[bytes]:
    """The values of the records of a topic after these offsets."""
    upto = await ends(settings, topic)
    ranges = RangeReader(settings)
    found = [
        record.value
        for place, end in upto.items()
        for record in await ranges.read(topic, place.partition, after[place], end)
    ]
    await ranges.close()
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def received(private_stores: Settings) -> AsyncIterator[Received]:
    pool = await postgres.pool(private_stores)
    await pool.execute(
        "TRUNCATE payment_events, payment_events_history, payment_events_quarantine, "
        "entity_features, entity_features_due"
    )
    found = Received(private_stores, pool, datetime.now(UTC))
    await found.send([event.body for event in traffic.events(3, COUNT, PERIOD)])
    for pair in pairs():  # every provider's, and so every kind of event
        await found.send([pair.body], pair.provider)
    assert {event.kind for event in found.events()} == set(KINDS)
    await found.leave_unmodelled(found.unmodelled())
    yield found
    await pool.close()


async def test_rows_and_features_with_a_bug_are_corrected_once(received: Received) -> None:
    right = received.events()
    await received.write([wrong(event) for event in right])
    broken = [event for event in right if wrong(event) != event]
    report = await received.replay()
    assert report.ok
    assert report.records == COUNT + len(pairs())
    assert report.outcomes[ReplayOutcome.CORRECTED] == len(broken) > 20
    assert report.outcomes[ReplayOutcome.UNCHANGED] == len(right) - len(broken)
    assert report.columns == {"amount_minor": len(broken)}
    amounts = await received.pool.fetch("SELECT event_id, amount_minor FROM payment_events")
    assert dict(map(tuple, amounts)) == {each.event_id: each.amount_minor for each in right}
    versions = await received.pool.fetch(
        "SELECT normalizer_version, count(*) FROM payment_events GROUP BY 1"
    )
    assert dict(map(tuple, versions)) == {
        "0": len(right) - len(broken),
        normalizer_version(): len(broken),
    }
    states: dict[EntityKey, EntityState] = {}
    for _ in fold(right, states):
        pass
    assert await received.states() == states

    again = await received.replay()
    assert again.outcomes[ReplayOutcome.CORRECTED] == 0
    assert again.refolded == 0
    history = "SELECT count(*) FROM payment_events_history"
    assert await received.pool.fetchval(history) == len(broken)


async def test_a_dry_run_reports_the_same_and_writes_nothing(received: Received) -> None:
    right = received.events()
    await received.write([wrong(event) for event in right[5:]])
    before = await received.pool.fetch("SELECT * FROM payment_events ORDER BY id")
    normalized = await ends(received.settings, topics.NORMALIZED)
    would = await received.replay(Request(received.window(), dry_run=True))
    assert await received.pool.fetch("SELECT * FROM payment_events ORDER BY id") == before
    assert await ends(received.settings, topics.NORMALIZED) == normalized
    did = await received.replay()
    assert (would.outcomes, would.columns) == (did.outcomes, did.columns)
    assert did.outcomes[ReplayOutcome.SENT_ON] == 5


async def test_events_in_no_table_are_sent_on_unchanged(received: Received) -> None:
    right = received.events()
    await received.write(right[3:])
    before = await ends(received.settings, topics.NORMALIZED)
    report = await received.replay()
    assert report.outcomes[ReplayOutcome.SENT_ON] == 3
    sent = await came(received.settings, topics.NORMALIZED, before)
    found = {event.event_id: event for event in map(PAYMENT_EVENT.validate_json, sent)}
    assert found.keys() == {event.event_id for event in right[:3]}
    for event in right[:3]:
        version = {"normalizer_version": normalizer_version()}
        assert found[event.event_id] == event.model_copy(update=version)


async def test_unmodelled_events_are_sent_on_if_they_are_on_no_topic(received: Received) -> None:
    """A normalizer lost the event. After the replay, the audit must add up again."""
    await received.write(received.events())
    known = len(received.unmodelled())
    body = json.loads(received.raws[0].body)
    body |= {"id": "evt_unmodelled", "type": UNMODELLED_TYPE}
    await received.send([json.dumps(body).encode()])
    before = await ends(received.settings, topics.UNMODELLED)
    told = await received.replay(Request(received.window(), dry_run=True))
    first, second = await received.replay(), await received.replay()
    assert told.outcomes == first.outcomes
    assert first.outcomes[ReplayOutcome.SENT_ON] == 1
    assert first.outcomes[ReplayOutcome.UNMODELLED] == known > 0
    assert first.named[ReplayOutcome.SENT_ON][0].event_id == "evt_unmodelled"
    assert (
        second.outcomes[ReplayOutcome.SENT_ON],
        second.outcomes[ReplayOutcome.UNMODELLED],
    ) == (
        0,
        known + 1,
    )
    assert await came(received.settings, topics.UNMODELLED, before) == [received.raws[-1].body]


async def test_a_rejected_event_that_is_unmodelled_today_stays_a_dead_letter(
    received: Received,
) -> None:
    await received.write(received.events())
    body = json.loads(received.raws[0].body)
    body |= {"id": "evt_unmodelled", "type": UNMODELLED_TYPE}
    await received.send([json.dumps(body).encode()])
    letter = normalize(received.raws[-1], BROKEN, Context(b"", "0"), datetime.now(UTC))
    assert isinstance(letter, BadRecord)
    await writer.quarantine(received.pool, [letter], "test")
    report = await received.replay()
    assert report.outcomes[ReplayOutcome.SENT_ON] == 0
    assert report.outcomes[ReplayOutcome.UNMODELLED] == len(received.unmodelled())


async def test_a_rejected_event_that_was_lost_is_quarantined_once(received: Received) -> None:
    await received.write(received.events())
    context = Context(b"", "0")
    modelled = next(raw for raw in received.raws if isinstance(normalized(raw, context), EventBase))
    body = json.loads(modelled.body)
    body["id"] = "evt_invalid"
    body["data"]["object"]["id"] = 7
    await received.send([json.dumps(body).encode()])
    assert isinstance(normalized(received.raws[-1], context), Rejected)
    first, second = await received.replay(), await received.replay()
    assert (
        first.outcomes[ReplayOutcome.QUARANTINED]
        == second.outcomes[ReplayOutcome.STILL_REJECTED]
        == 1
    )
    assert second.outcomes[ReplayOutcome.QUARANTINED] == 0
    (row,) = await received.pool.fetch("SELECT * FROM payment_events_quarantine")
    assert row["source_offset"] == received.raws[-1].coordinates.offset
    assert row["body"] == received.raws[-1].body


async def test_a_valid_dead_letter_is_sent_on_and_closed_once(
    received: Received,
) -> None:
    right = received.events()
    mended, dismissed, patched = right[:3], right[3], right[4]
    await received.write(right[5:])
    await received.reject([*mended, dismissed, patched])
    await received.pool.execute(
        "UPDATE payment_events_quarantine SET resolution = 'dismissed', resolved_by = 'ana',"
        " resolved_at = clock_timestamp() WHERE event_id = $1",
        dismissed.event_id,
    )
    await received.pool.execute(
        "UPDATE payment_events_quarantine SET redriven_event_id = event_id,"
        " redriven_body_sha256 = repeat('f', 64) WHERE event_id = $1",
        patched.event_id,
    )
    before = await ends(received.settings, topics.NORMALIZED)
    for dry_run in (True, False):
        report = await received.replay(Request(received.window(), dry_run=dry_run, wait_s=0))
        assert [
            report.outcomes[each] for each in (ReplayOutcome.MENDED, ReplayOutcome.REDRIVABLE)
        ] == [3, 2]
        assert (report.letters_closed, report.letters_open, report.ok) == (0, 3, dry_run)
    sent = await came(received.settings, topics.NORMALIZED, before)
    events = [PAYMENT_EVENT.validate_json(value) for value in sent]
    assert {event.event_id for event in events} == {event.event_id for event in mended}

    await received.write(events)
    by, closed = [], []
    for _ in range(2):
        report = await received.replay(Request(received.window()))
        by.append(report.by)
        closed.append((report.letters_closed, report.letters_open, report.ok))
    assert closed == [(3, 0, True), (0, 0, True)]
    letters = {
        row["event_id"]: row
        for row in await received.pool.fetch("SELECT * FROM payment_events_quarantine")
    }
    assert letters.pop(dismissed.event_id)["resolved_by"] == "ana"
    assert letters.pop(patched.event_id)["resolution"] is None
    assert letters.keys() == {event.event_id for event in mended}
    for row in letters.values():
        assert (row["resolution"], row["resolved_by"]) == ("written", by[0])
        assert row["resolution_note"] == f"normalizer {normalizer_version()}"
        assert row["resolved_at"] > row["rejected_at"]


async def test_a_dead_letter_is_closed_if_another_record_brought_its_event(
    received: Received,
) -> None:
    right = received.events()
    elsewhere = replace(right[0].source, offset=10**9)
    await received.write([right[0].model_copy(update={"source": elsewhere}), *right[1:]])
    await received.reject(right[:1])
    told = await received.replay(Request(received.window(), dry_run=True))
    assert (told.outcomes[ReplayOutcome.UNCHANGED], told.letters_open) == (len(right), 1)
    assert (await received.replay()).letters_closed == 1
    (letter,) = await received.pool.fetch("SELECT * FROM payment_events_quarantine")
    assert letter["resolution"] == "already_there"


def for_another_endpoint(body: bytes) -> bytes:
    return json.dumps(json.loads(body) | {"pending_webhooks": 9}).encode()


async def test_another_delivery_of_a_stored_event_changes_nothing(received: Received) -> None:
    right = received.events()
    await received.write(right)
    bodies = {raw.coordinates: raw.body for raw in received.raws}
    await received.send([for_another_endpoint(bodies[event.source]) for event in right[:5]])
    report = await received.replay()
    assert report.ok
    assert report.outcomes[ReplayOutcome.UNCHANGED] == len(right) + 5
    assert report.outcomes[ReplayOutcome.SENT_ON] == 0
    stored = await received.pool.fetch("SELECT event_id, body_sha256 FROM payment_events")
    assert dict(map(tuple, stored)) == {each.event_id: each.body_sha256 for each in right}


async def test_a_dead_letter_is_closed_if_another_delivery_brought_its_event(
    received: Received,
) -> None:
    right = received.events()
    bodies = {raw.coordinates: raw.body for raw in received.raws}
    await received.send([for_another_endpoint(bodies[right[0].source])])
    await received.write(right)
    second = received.events()[-1]
    await received.reject([second])
    assert (await received.replay()).letters_closed == 1
    (letter,) = await received.pool.fetch("SELECT * FROM payment_events_quarantine")
    assert (letter["resolution"], letter["body_sha256"], letter["redriven_body_sha256"]) == (
        "already_there",
        second.body_sha256,
        right[0].body_sha256,
    )


async def test_a_row_that_is_rejected_today_stays_and_is_named(
    received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = received.events()
    await received.write(right)
    strict = right[0].event_id
    normalize = STRIPE.normalize

    def stricter(raw: RawEvent, context: Context) -> object:
        if raw.event_id == strict:
            raise ZeroDivisionError
        return normalize(raw, context)

    monkeypatch.setattr(STRIPE, "normalize", stricter)
    report = await received.replay()
    assert not report.ok
    assert [each.event_id for each in report.named[ReplayOutcome.NO_LONGER_TAKEN]] == [strict]
    rows = await received.pool.fetchval("SELECT count(*) FROM payment_events")
    assert rows == len(right)
    assert await received.pool.fetchval("SELECT count(*) FROM payment_events_quarantine") == 0


async def test_only_the_selected_events_are_replayed(received: Received) -> None:
    right = received.events()
    await received.write([wrong(event) for event in right])
    failed = [event for event in right if event.event_type == "charge.failed"]
    report = await received.replay(Request(received.window(), event_type="charge.failed"))
    assert report.records == len(failed) == report.outcomes[ReplayOutcome.CORRECTED] > 0
    middle = received.raws[COUNT // 2].received_at
    first_half = Window(received.since, middle)
    report = await received.replay(Request(first_half, dry_run=True))
    assert report.records == COUNT // 2
    later = Window(datetime.now(UTC), datetime.now(UTC) + timedelta(seconds=1))
    assert (await received.replay(Request(later))).records == 0
    with pytest.raises(UserError, match="No provider nobody: there are"):
        await received.replay(Request(later, provider="nobody"))


async def test_the_command_prints_its_result(received: Received) -> None:
    right = received.events()
    await received.write([wrong(event) for event in right])
    window = ("--from", received.since.isoformat(), "--to", "0s")
    dry = commands.call(received.settings, "replay", *window, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    told = json.loads(dry.stdout)
    assert told["dry_run"]
    done = commands.call(received.settings, "replay", *window)
    assert done.returncode == 0, done.stderr
    assert f"{told['corrected']:,} " in done.stdout
    assert "the old rows are in payment_events_history" in done.stdout
    wrong_way = commands.call(received.settings, "replay", "--from", "0s", "--to", "1h")
    assert wrong_way.returncode == 2
    assert "The window is empty" in wrong_way.stderr
