"""The audit reads real topics and tables, and names every fault made on purpose.

Each story has a window of receipts of its own, so that they share one Kafka and one PostgreSQL.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import StringIO
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from payment_operations import trace_text
from payment_operations.terminal import Screen
from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.bronze import writer
from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain import client_ledger, headers, topics
from payment_pipeline.domain.client_ledger import Attempt
from payment_pipeline.domain.failures import (
    BadRecord,
    FailureClass,
    FieldError,
    Unmodelled,
    UserError,
)
from payment_pipeline.domain.headers import Headers
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.ledger import settling
from payment_pipeline.ledger.audit_runner import Report, Request, run
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.audited_topics import Progress
from payment_pipeline.ledger.audited_topics import connected as topics_of
from payment_pipeline.ledger.event_trace import trace
from payment_pipeline.ledger.ledger_verdict import whole_verdict
from payment_pipeline.ledger.reconciliation import Finding
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.normalizer import step
from payment_pipeline.providers import Context, Envelope, providers
from payment_pipeline.settings import Settings
from support import commands

pytestmark = pytest.mark.stack

CONTEXT = Context(pseudonym_key=b"test", normalizer_version="test")
MODELLED, UNMODELLED = "payment_intent.succeeded", "tax_rate.created"
WORKFLOW = "ingest/test"
DAYS = count()
EXAMPLES = Path(__file__).parents[1] / "providers" / "stripe_objects.json"
PAYMENT_INTENT = json.loads(EXAMPLES.read_text())["resources"]["payment_intent"]
TO_RAW, TO_TOPICS, TO_TABLES = range(3)


@dataclass
class Pipeline:
    """What the stages would have left behind, without the stages."""

    settings: Settings
    producer: AIOKafkaProducer
    pool: asyncpg.Pool
    window: Window

    async def deliver(self, body: bytes, far: int = TO_TABLES, at_s: float = 1.0) -> RawEvent:
        """One delivery, processed as far as asked; `at_s` into the window."""
        provider = providers()["stripe"]
        read = provider.read(body)
        topic, event_id, key = topics.DLQ_WEBHOOKS, None, None
        if isinstance(read, Envelope):
            topic, event_id = topics.raw("stripe", read.resource), read.event_id
            key = read.key.encode()
        received_at = (self.window.since or self.window.until) + timedelta(seconds=at_s)
        given = headers_of(body, received_at, event_id)
        place = await self._send(topic, body, given, key)
        digest = sha256(body).hexdigest()
        raw = RawEvent("stripe", place, body, event_id, digest, received_at, "verified", None)
        raw = raw._replace(identity_sha256=identity_of(body))
        if event_id is None:
            await self._write(dead_letter(raw, FailureClass.UNPARSEABLE), far)
            return raw
        outcome = step.normalize(raw, provider, CONTEXT, received_at)
        if far >= TO_TOPICS:
            await self._send(*step.message(outcome, raw, given), key)
        await self._write(outcome, far)
        return raw

    async def store(self, raw: RawEvent) -> None:
        """What was normalized, into bronze."""
        outcome = step.normalize(raw, providers()["stripe"], CONTEXT, raw.received_at)
        await self._write(outcome, TO_TABLES)

    async def _write(self, outcome: step.Outcome, far: int) -> None:
        if far < TO_TABLES or isinstance(outcome, Unmodelled):
            return
        if isinstance(outcome, BadRecord):
            await writer.quarantine(self.pool, [outcome], WORKFLOW)
            return
        row = ScoredEvent(outcome, None, InferenceStatus.NOT_APPLICABLE)
        await writer.write(self.pool, [row], WORKFLOW)

    async def _send(
        self, topic: str, value: bytes, given: Headers, key: bytes | None
    ) -> Coordinates:
        sent = await self.producer.send_and_wait(topic, value, key, headers=list(given))
        return Coordinates(topic=topic, partition=sent.partition, offset=sent.offset)

    async def audit(
        self, client: Path | None = None, wait_s: float = 0, progress: Progress = print
    ) -> Report:
        request = Request(self.window, False, client, wait_s)
        return await run(self.settings, request, progress)

    async def catch_up(self, group: str) -> None:
        """Commit all that lies on the group's topics."""
        async with topics_of(self.settings) as found:
            ends = {
                place: end
                for place, end in (await found.ends()).items()
                if settling.group_of(place.topic) == group
            }
        consumer = kafka.consumer(self.settings, group=group)
        await consumer.start()
        consumer.assign(list(ends))
        await consumer.commit(ends)
        await consumer.stop()


def event(
    event_id: str, kind: str = MODELLED, amount: object = 1000, currency: str = "eur"
) -> bytes:
    """A webhook's body."""
    subject = {**PAYMENT_INTENT, "id": f"pi_{event_id}", "amount": amount, "currency": currency}
    return json.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": kind,
            "created": 1_700_000_000,
            "livemode": False,
            "api_version": "2025-03-31.basil",
            "data": {"object": subject},
        }
    ).encode()


def headers_of(body: bytes, received_at: datetime, event_id: str | None) -> Headers:
    given = {
        headers.CE_SOURCE: "/webhooks/stripe",
        headers.BODY_SHA256: sha256(body).hexdigest(),
        headers.RECEIVED_AT: received_at.isoformat(),
        headers.VERDICT: "verified:stripe:test",
        **({headers.CE_ID: event_id} if event_id else {}),
    }
    if (identity := identity_of(body)) is not None:
        given[headers.IDENTITY_SHA256] = identity
    return tuple((name, value.encode()) for name, value in given.items())


def identity_of(body: bytes) -> str | None:
    read = providers()["stripe"].read(body)
    return read.identity_sha256 if isinstance(read, Envelope) else None


def rendered(body: bytes, version: str = "2020-08-27", endpoints: int = 2) -> bytes:
    """The event for another endpoint."""
    changes = {"api_version": version, "pending_webhooks": endpoints}
    return json.dumps(json.loads(body) | changes).encode()


def dead_letter(raw: RawEvent, failure: FailureClass) -> BadRecord:
    return BadRecord(
        failure=failure,
        errors=(FieldError(path="", message="on purpose"),),
        component="test",
        component_version="test",
        provider=raw.provider,
        event_id=raw.event_id,
        provider_event_type=None,
        source=raw.coordinates,
        body=raw.body,
        body_sha256=raw.body_sha256,
        identity_sha256=raw.identity_sha256,
        received_at=raw.received_at,
        verdict=raw.verdict,
        rejected_at=raw.received_at,
    )


def names(finding: Finding) -> list[str]:
    return [named.event_id for named in finding.named]


@pytest_asyncio.fixture
async def pipeline(private_stores: Settings) -> AsyncIterator[Pipeline]:
    since = datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=next(DAYS))
    pool = await postgres.pool(private_stores)
    producer = kafka.producer(private_stores)
    await producer.start()
    window = Window(since, since + timedelta(hours=1))
    yield Pipeline(private_stores, producer, pool, window)
    await producer.stop()
    await pool.close()


async def test_every_event_in_its_one_place_is_clean(pipeline: Pipeline, tmp_path: Path) -> None:
    bodies = {
        "evt_ok": event("evt_ok"),
        "evt_yen": event("evt_yen", amount=500, currency="jpy"),
        "evt_unmodelled": event("evt_unmodelled", UNMODELLED),
        "evt_invalid": event("evt_invalid", amount="a lot"),
        "evt_unknown_currency": event("evt_unknown_currency", currency="xqq"),
        None: b"{",
    }
    for body in bodies.values():
        await pipeline.deliver(body)
    await pipeline.deliver(bodies["evt_ok"], at_s=5)
    await pipeline.deliver(bodies["evt_invalid"], at_s=5)
    await pipeline.deliver(event("evt_others"))
    other_body = await pipeline.deliver(event("evt_ok", amount=999), TO_TOPICS, at_s=6)
    conflict = dead_letter(other_body, FailureClass.CONFLICTING_BODY)
    await writer.quarantine(pipeline.pool, [conflict], WORKFLOW)
    ledger = tmp_path / "client.jsonl"
    at = (other_body.received_at + timedelta(minutes=5)).isoformat()
    lines = [Attempt(i, sha256(b).hexdigest(), 200, at, None) for i, b in bodies.items()]
    ledger.write_bytes(b"".join(map(client_ledger.dump, lines)))

    report = await pipeline.audit(ledger)

    audit = report.audit
    assert audit.ok, report
    assert (report.window.complete, audit.others, audit.conflicts) == (True, 2, 1)
    figures = {stage.value: summary[:2] for stage, summary in audit.stages.items()}
    assert figures == {
        "acknowledged": (6, 6),
        "raw": (8, 10),
        "normalized": (4, 5),
        "rejected": (3, 4),
        "unmodelled": (1, 1),
        "bronze": (3, 3),
        "quarantine": (4, 5),
        "redriven": (0, 0),
    }
    assert audit.stages[Stage.RAW].hash_total == {"EUR": 2999, "JPY": 500, "XQQ": 1000}
    assert audit.stages[Stage.BRONZE].hash_total == {"EUR": 2000, "JPY": 500}


async def test_an_event_of_two_endpoints_is_one_event(pipeline: Pipeline, tmp_path: Path) -> None:
    bodies = [
        event("evt_endpoints"),
        rendered(event("evt_endpoints")),
        event("evt_endpoints", amount=999),
    ]
    lines = []
    for at_s, body in enumerate(bodies):
        raw = await pipeline.deliver(body, TO_TABLES if at_s == 0 else TO_TOPICS, at_s=1 + at_s)
        at = (raw.received_at + timedelta(minutes=5)).isoformat()
        lines.append(Attempt("evt_endpoints", raw.body_sha256, 200, at, None))
    letter = dead_letter(raw, FailureClass.CONFLICTING_BODY)
    await writer.quarantine(pipeline.pool, [letter], WORKFLOW)
    ledger = tmp_path / "client.jsonl"
    ledger.write_bytes(b"".join(map(client_ledger.dump, lines)))
    audit = (await pipeline.audit(ledger)).audit
    assert audit.ok, audit
    assert (audit.others, audit.conflicts) == (0, 1)
    assert audit.stages[Stage.ACKNOWLEDGED][:2] == audit.stages[Stage.RAW][:2] == (2, 3)
    assert audit.stages[Stage.BRONZE].hash_total == {"EUR": 1000}


async def test_events_from_before_the_identity_was_recorded_are_found(pipeline: Pipeline) -> None:
    body = event("evt_before")
    await pipeline.deliver(body)
    await pipeline.pool.execute(
        "UPDATE payment_events SET identity_sha256 = NULL WHERE event_id = 'evt_before'"
    )
    await pipeline.deliver(body, TO_TOPICS, at_s=2)
    await pipeline.deliver(rendered(body), TO_TOPICS, at_s=3)
    audit = (await pipeline.audit()).audit
    assert audit.ok, audit
    assert audit.stages[Stage.RAW][:2] == (1, 3)


async def test_a_window_that_leaves_out_all_that_the_client_did_is_not_called_clean(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    delivered = await pipeline.deliver(event("evt_ok"))
    ledger, at = tmp_path / "client.jsonl", delivered.received_at
    line = Attempt("evt_ok", delivered.body_sha256, 200, at.isoformat(), None)
    ledger.write_bytes(client_ledger.dump(line))
    since, until = at - timedelta(seconds=30), pipeline.window.until
    span = "--since", since.isoformat(), "--until", until.isoformat()
    words = *span, "--client-ledger", str(ledger), "--wait", "0", "--through", "bronze"
    done = commands.call(pipeline.settings, "audit", *words)
    assert done.returncode == 1, done.stderr
    assert "nothing judged: the window leaves out every attempt" in done.stdout
    assert "Left out: 1 of the client's attempts" in " ".join(done.stdout.split())


async def test_what_is_broken_on_purpose_is_named(pipeline: Pipeline) -> None:
    for name in ("evt_ok", "evt_deleted", "evt_altered", "evt_in_both"):
        await pipeline.deliver(event(name))
    invalid = await pipeline.deliver(event("evt_twice", amount=None))
    await pipeline.deliver(event("evt_raw_only"), TO_RAW)
    await pipeline.deliver(event("evt_normalized_only"), TO_TOPICS)
    assert names((await pipeline.audit()).audit.missing) == ["evt_normalized_only", "evt_raw_only"]

    await pipeline.pool.execute("DELETE FROM payment_events WHERE event_id = 'evt_deleted'")
    await pipeline.pool.execute(
        "UPDATE payment_events SET amount_minor = 1001 WHERE event_id = 'evt_altered'"
    )
    again = dead_letter(invalid, FailureClass.UNPROCESSABLE)
    in_both = await pipeline.deliver(event("evt_in_both"), at_s=9)
    both = dead_letter(in_both, FailureClass.CONFLICTING_BODY)
    await writer.quarantine(pipeline.pool, [again, both], WORKFLOW)
    await pipeline.deliver(event("evt_forgotten"))
    audit = (await pipeline.audit()).audit

    assert {named.event_id: named.seen_in[-1] for named in audit.missing.named} == {
        "evt_deleted": Stage.NORMALIZED,
        "evt_normalized_only": Stage.NORMALIZED,
        "evt_raw_only": Stage.RAW,
    }
    assert names(audit.duplicated) == ["evt_in_both", "evt_twice"]
    assert names(audit.mismatched) == ["evt_altered"]
    assert audit.unexplained.count == 0


async def test_the_hourly_verdict_names_what_never_came_to_bronze(pipeline: Pipeline) -> None:
    await pipeline.deliver(event("evt_there"))
    asked = pipeline.settings, pipeline.window, 0.0
    assert (await asyncio.to_thread(whole_verdict, *asked)).ok
    await pipeline.deliver(event("evt_stuck"), TO_TOPICS)
    verdict = await asyncio.to_thread(whole_verdict, *asked)
    assert not verdict.ok
    assert "1 missing: evt_stuck" in verdict.sentence


async def test_an_audit_leaves_its_counts(pipeline: Pipeline) -> None:
    await pipeline.deliver(event("evt_there"))
    await pipeline.deliver(event("evt_invalid", amount=None))
    await asyncio.to_thread(whole_verdict, pipeline.settings, pipeline.window, 0.0)
    await pipeline.deliver(event("evt_stuck"), TO_TOPICS)
    await asyncio.to_thread(whole_verdict, pipeline.settings, pipeline.window, 0.0)
    first, second = await pipeline.pool.fetch(
        "SELECT * FROM ledger_audits WHERE window_since = $1 ORDER BY id", pipeline.window.since
    )
    assert (first["is_clean"], first["missing_events"]) == (True, 0)
    counted = ("received", "normalized", "rejected", "unmodelled", "bronze", "quarantine")
    assert [first[f"{stage}_events"] for stage in counted] == [2, 1, 1, 0, 1, 1]
    assert (second["is_clean"], second["missing_events"]) == (False, 1)
    assert [second[f"{stage}_events"] for stage in counted] == [3, 2, 1, 0, 1, 1]
    assert {first["asked_by"], second["asked_by"]} == {"schedule"}
    assert second["lake_events"] is None
    assert second["window_until"] == pipeline.window.until


async def test_an_audit_that_bronze_does_not_keep_is_answered(pipeline: Pipeline) -> None:
    await pipeline.deliver(event("evt_there"))
    await pipeline.pool.execute("ALTER TABLE ledger_audits RENAME TO ledger_audits_away")
    try:
        asked = pipeline.settings, pipeline.window, 0.0
        assert (await asyncio.to_thread(whole_verdict, *asked)).ok
    finally:
        await pipeline.pool.execute("ALTER TABLE ledger_audits_away RENAME TO ledger_audits")


async def test_a_row_that_no_topic_explains_is_named(pipeline: Pipeline) -> None:
    raw = await pipeline.deliver(event("evt_known"))
    body = event("evt_by_hand")
    written_by_hand = raw._replace(event_id="evt_by_hand", body=body, body_sha256="ab" * 32)
    letter = dead_letter(written_by_hand, FailureClass.INVALID)
    await writer.quarantine(pipeline.pool, [letter], WORKFLOW)
    audit = (await pipeline.audit()).audit
    assert names(audit.unexplained) == ["evt_by_hand"]


async def test_a_letter_with_the_bytes_of_another_event_is_named(pipeline: Pipeline) -> None:
    raw = await pipeline.deliver(event("evt_known_too"))
    written_by_hand = raw._replace(event_id="evt_renamed", body_sha256="ab" * 32)
    letter = dead_letter(written_by_hand, FailureClass.INVALID)
    await writer.quarantine(pipeline.pool, [letter], WORKFLOW)
    audit = (await pipeline.audit()).audit
    assert names(audit.mismatched) == ["evt_known_too"]


async def test_a_duplicate_in_the_window_finds_the_row_from_before_it(pipeline: Pipeline) -> None:
    body, invalid = event("evt_earlier"), event("evt_earlier_invalid", amount=None)
    await pipeline.deliver(body, at_s=-60)
    await pipeline.deliver(rendered(body), TO_TOPICS)
    await pipeline.deliver(invalid, at_s=-60)
    await pipeline.deliver(invalid, TO_TOPICS)
    await pipeline.deliver(event("evt_after_it"), TO_RAW, at_s=3600)
    audit = (await pipeline.audit()).audit
    assert audit.ok
    assert audit.stages[Stage.RAW][:2] == (2, 2)
    assert audit.stages[Stage.BRONZE].hash_total == audit.stages[Stage.NORMALIZED].hash_total


async def test_garbage_on_the_topics_is_told_not_raised(pipeline: Pipeline) -> None:
    at = pipeline.window.since or pipeline.window.until
    for topic in (topics.NORMALIZED, topics.DLQ_VALIDATION, topics.UNMODELLED):
        for value in (b"", b"[]", b'{"kind": 1}', b"\xff"):
            given = [(headers.RECEIVED_AT, at.isoformat().encode())]
            await pipeline.producer.send_and_wait(topic, value, headers=given)
    audit = (await pipeline.audit()).audit
    assert audit.unexplained.count == 4
    assert not audit.ok


async def test_an_audit_waits_for_who_is_behind_and_for_what_is_on_its_way(
    pipeline: Pipeline,
) -> None:
    raw = await pipeline.deliver(event("evt_late"), TO_TOPICS)
    said: list[str] = []

    async def work_meanwhile() -> None:
        await until(lambda: any("normalizer" in line and "behind" in line for line in said))
        for group in (settling.NORMALIZER, settling.DISPATCHER):
            await pipeline.catch_up(group)
        await until(lambda: "waiting: 1 events in progress" in said)
        await pipeline.store(raw)

    report, _ = await asyncio.gather(pipeline.audit(None, 60, said.append), work_meanwhile())
    assert report.audit.ok
    assert report.settled
    assert report.elapsed_s < 30


async def test_a_trace_tells_the_life_of_an_event(pipeline: Pipeline) -> None:
    raw = await pipeline.deliver(event("evt_traced"))
    found = await trace(pipeline.settings, "evt_traced", print)
    (life,) = trace_text.as_json(found)["events"]
    place = raw.coordinates
    assert (life["place"], life["event_type"]) == ("bronze", "payment.succeeded")
    assert (life["topic"], life["partition"], life["offset"]) == (
        place.topic,
        place.partition,
        place.offset,
    )
    assert life["workflow"]["id"] == WORKFLOW
    assert life["workflow"]["url"].endswith("/namespaces/default/workflows/ingest%2Ftest")
    assert life["row"]["payment_id"] == "pi_evt_traced"
    assert datetime.fromisoformat(life["received_at"]) == raw.received_at
    by_payment = await trace(pipeline.settings, "pi_evt_traced", print)
    assert by_payment.sightings == found.sightings
    assert "Temporal does not answer" in str(found.temporal_silence)


async def test_a_payments_trace_has_what_never_became_a_row(pipeline: Pipeline) -> None:
    """Its dead letters, which no column of theirs says are its own, and what no model covers."""
    await pipeline.deliver(event("evt_life"))
    rejected = event("evt_life", amount=None).replace(b'"evt_life"', b'"evt_rejected"')
    await pipeline.deliver(rejected)
    await pipeline.deliver(event("evt_life_of_another", amount=None))
    strange = event("evt_life", "payment_intent.of_tomorrow")
    raw = await pipeline.deliver(strange.replace(b'"evt_life"', b'"evt_strange"'), TO_TOPICS)
    found = await trace(pipeline.settings, "pi_evt_life", print)
    assert {(seen.stage, seen.event_id) for seen in found.sightings} == {
        (Stage.BRONZE, "evt_life"),
        (Stage.QUARANTINE, "evt_rejected"),
        (Stage.UNMODELLED, raw.event_id),
    }
    out = StringIO()
    trace_text.show(found, Screen(file=out, width=200))
    for seen in found.sightings:
        assert str(seen.source) in out.getvalue()
        assert f"received {seen.received_at:%Y-%m-%d %H:%M:%S}" in out.getvalue()
    assert WORKFLOW in out.getvalue()


async def test_a_trace_tells_both_places_of_an_id_with_two_bodies(pipeline: Pipeline) -> None:
    await pipeline.deliver(event("evt_two"))
    other = await pipeline.deliver(event("evt_two", amount=1), TO_TOPICS)
    letter = dead_letter(other, FailureClass.CONFLICTING_BODY)
    await writer.quarantine(pipeline.pool, [letter], WORKFLOW)
    found = await trace(pipeline.settings, "evt_two", print)
    assert [seen.stage for seen in found.sightings] == [Stage.BRONZE, Stage.QUARANTINE]
    assert trace_text.as_json(found)["events"][1]["failure"] == "conflicting_body"


async def test_a_trace_finds_a_body_without_an_id_by_the_audits_name(pipeline: Pipeline) -> None:
    raw = await pipeline.deliver(b"{ no event")
    found = await trace(pipeline.settings, f"sha256:{raw.body_sha256[:32]}", print)
    assert [seen.more["failure"] for seen in found.sightings] == ["unparseable"]


@pytest.mark.parametrize(
    ("body", "far", "stage", "standing"),
    [
        (event("evt_u", UNMODELLED), TO_TOPICS, Stage.UNMODELLED, "no model covers its type"),
        (event("evt_n"), TO_TOPICS, Stage.NORMALIZED, "the dispatcher has"),
        (event("evt_w"), TO_RAW, Stage.RAW, "the normalizer has"),
        (b"{ on its way", TO_RAW, Stage.REJECTED, "the dispatcher has"),
    ],
)
async def test_a_trace_says_where_it_is_now(
    pipeline: Pipeline, body: bytes, far: int, stage: Stage, standing: str
) -> None:
    raw = await pipeline.deliver(body, far)
    wanted = raw.event_id or f"sha256:{raw.body_sha256[:32]}"
    (seen,) = (await trace(pipeline.settings, wanted, print)).sightings
    assert seen.stage is stage
    assert seen.more["standing"].startswith(standing)
    assert seen.source == raw.coordinates


async def test_an_id_that_nothing_has_is_one_sentence(pipeline: Pipeline) -> None:
    with pytest.raises(UserError, match="No event, payment or workflow") as refusal:
        await trace(pipeline.settings, "evt_nowhere", print)
    assert refusal.value.exit_code == 1


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_the_guides_queries_run(pipeline: Pipeline) -> None:
    guide = Path(__file__).parents[2] / "docs" / "guides" / "ledger.md"
    (block,) = re.findall(r"```sql\n(.*?)```", guide.read_text(), re.DOTALL)
    await pipeline.deliver(event("evt_guide", amount="no amount"))
    for query in block.split(";\n"):
        if query.strip():
            await pipeline.pool.fetch(query)
    by_field = await pipeline.pool.fetch(block.split(";\n")[1])
    assert "data.object.amount" in {row["path"] for row in by_field}
