"""Tests on the running pipeline that dead letters reach bronze once and the audit agrees.

Each test uses its own times of receipt, long past, so that the filters of the commands and the
window of the audit select only its events.
"""

import asyncio
import json
import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.adapters.kafka_ranges import RangeReader
from payment_pipeline.dlq import dead_letter_clients, redrive
from payment_pipeline.dlq import redrive_plan as planning
from payment_pipeline.dlq.dead_letter_store import Closer
from payment_pipeline.dlq.redrive import Redrive, Request
from payment_pipeline.dlq.redrive_plan import Outcome
from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.providers import Context, Envelope, event_headers, providers
from payment_pipeline.replay import replay_batch as replay
from payment_pipeline.replay import replay_runner as replaying
from payment_pipeline.replay.replay_outcome import ReplayOutcome
from payment_pipeline.settings import Settings
from support import commands
from support.normalized_events import rows, until
from support.stripe_bodies import body as stripe_body
from support.stripe_bodies import example

pytestmark = pytest.mark.stack

VERDICT = "verified:stripe:9f2c1a"
EURO = '[{"op": "replace", "path": "/data/object/currency", "value": "eur"}]'
CLOSER = Closer("test")
STORIES = count()
LETTERS = "SELECT count(*) FROM payment_events_quarantine WHERE received_at = %s"


@dataclass
class Story:
    """Events that were received at one moment, which no other story has."""

    settings: Settings
    at: datetime
    run: str

    def charge(self, number: int, **changes: object) -> bytes:
        found = example("charge", payment_intent=f"pi_{self.run}_{number}", **changes)
        return stripe_body("charge.succeeded", found, id=self.event_id(number))

    def event_id(self, number: int) -> str:
        return f"evt_{self.run}_{number}"

    async def receive(self, bodies: Sequence[bytes], *, unreadable: bool = False) -> None:
        """Put them where the gateway would, or where one that can't read them would."""
        stripe = providers()["stripe"]
        async with kafka.producer(self.settings) as producer:
            for body in bodies:
                receipt = (
                    (names.BODY_SHA256, sha256(body).hexdigest().encode()),
                    (names.RECEIVED_AT, self.at.isoformat().encode()),
                    (names.VERDICT, VERDICT.encode()),
                )
                read = stripe.read(body)
                if isinstance(read, Envelope) and not unreadable:
                    topic, key = topics.raw("stripe", read.resource), read.key.encode()
                    headers = event_headers("stripe", read) + receipt
                else:
                    topic, key = topics.DLQ_WEBHOOKS, None
                    reason = (names.REASON, b"not_json")
                    headers = ((names.CE_SOURCE, b"/webhooks/stripe"), reason, *receipt)
                await producer.send_and_wait(topic, body, key=key, headers=list(headers))

    async def quarantined(self, letters: int) -> None:
        await until(lambda: rows(self.settings, LETTERS, self.at) == [(letters,)])

    def window(self) -> tuple[str, ...]:
        end = self.at + timedelta(seconds=1)
        return "--since", self.at.isoformat(), "--until", end.isoformat()

    def dlq(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        return commands.call(self.settings, "dlq", verb, *self.window(), *words)

    def redrive(self, *words: str) -> dict[str, Any]:
        done = self.dlq("redrive", "--by", "test", "--json", *words)
        assert done.returncode in (0, 1), done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        closed = {"written", "already_there", "unmodelled", "closed_meanwhile"}
        assert (done.returncode == 0) == (told["dry_run"] or told["outcomes"].keys() <= closed)
        return told

    def open(self) -> dict[str, int]:
        return {group["failure"]: group["letters"] for group in self.listed()["groups"]}

    def listed(self, *words: str) -> dict[str, Any]:
        done = self.dlq("list", "--json", *words)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def audit(self) -> dict[str, Any]:
        done = commands.call(self.settings, "audit", "--json", *self.window())
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def stored(self) -> list[tuple[object, ...]]:
        query = (
            "SELECT event_id, body_sha256, currency FROM payment_events WHERE received_at = %s"
            " ORDER BY event_id"
        )
        return rows(self.settings, query, self.at)

    def closed(self) -> list[tuple[object, ...]]:
        query = (
            "SELECT resolution, resolved_by, patch IS NOT NULL FROM payment_events_quarantine"
            " WHERE received_at = %s AND resolution IS NOT NULL ORDER BY id"
        )
        return rows(self.settings, query, self.at)


@pytest.fixture
def story(stack: Settings) -> Story:
    at = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(days=next(STORIES), microseconds=123456)
    return Story(stack, at, uuid4().hex[:8])


@pytest_asyncio.fixture
async def pool(stack: Settings) -> AsyncIterator[asyncpg.Pool]:
    made = await postgres.pool(stack, 1, 10)
    yield made
    await made.close()


async def ids(pool: asyncpg.Pool, story: Story) -> list[int]:
    query = "SELECT id FROM payment_events_quarantine WHERE received_at = $1 AND resolution IS NULL"
    return [row["id"] for row in await pool.fetch(query, story.at)]


async def driven(story: Story, pool: asyncpg.Pool, wanted: Sequence[int]) -> list[redrive.Result]:
    """A redrive within this process, past the lock."""
    async with dead_letter_clients.redrive_stores(story.settings, pool) as stores:
        return await Redrive(stores, Request(CLOSER), lambda *_: None).run(wanted)


def outcomes(results: Sequence[redrive.Result]) -> list[Outcome]:
    return sorted(result.outcome for result in results)


async def test_a_patch_closes_the_class_and_the_audit_is_clean(story: Story) -> None:
    signed = [story.charge(number, currency="xqq") for number in range(3)]
    other = story.charge(9, amount="12.50")
    await story.receive([*signed, other])
    await story.quarantined(4)
    assert story.open() == {"unknown_currency": 3, "invalid": 1}

    judged = story.redrive("--dry-run", "--class", "unknown_currency")
    assert judged["outcomes"] == {"rejected_again": 3}
    assert story.stored() == []

    told = story.redrive("--class", "unknown_currency", "--patch", EURO, "--note", "was EUR")
    assert told["outcomes"] == {"written": 3}, told
    assert all(result["patched"] for result in told["results"])
    stored = story.stored()
    assert [(event_id, currency) for event_id, _, currency in stored] == [
        (story.event_id(number), "EUR") for number in range(3)
    ]
    assert not {digest for _, digest, _ in stored} & {sha256(b).hexdigest() for b in signed}
    assert story.open() == {"invalid": 1}
    assert story.closed() == [("written", "test", True)] * 3
    kept = rows(
        story.settings,
        "SELECT body, verdict FROM payment_events_quarantine WHERE received_at = %s AND patch IS"
        " NOT NULL",
        story.at,
    )
    assert sorted(kept) == sorted((body, VERDICT) for body in signed)

    audit = story.audit()
    assert audit["ok"], audit
    assert {name: audit["stages"][name]["events"] for name in ("bronze", "quarantine")} == {
        "bronze": 3,
        "quarantine": 1,
    }
    assert audit["stages"]["redriven"]["events"] == 3

    # The provider delivers one of them again, as it was: rejected again, and the same patch is
    # enough, since bronze has what it leads to.
    await story.receive(signed[:1])
    await story.quarantined(5)
    told = story.redrive("--class", "unknown_currency", "--patch", EURO)
    assert told["outcomes"] == {"already_there": 1}
    assert len(story.stored()) == 3
    assert story.audit()["ok"]


async def test_a_redrive_with_fixed_code_closes_the_class_and_a_second_changes_nothing(
    story: Story, pool: asyncpg.Pool
) -> None:
    """What an older gateway couldn't read goes out unchanged, with its first receipt."""
    bodies = [story.charge(number) for number in range(60)]
    await story.receive(bodies, unreadable=True)
    await story.quarantined(60)
    wanted = await ids(pool, story)
    told = story.redrive("--all", "--wait", "0", "--rate", "0", "--limit", "40")
    assert told["letters"] == 40
    # As after a crash: whatever was under way is found, and the rest is sent.
    told = story.redrive("--all", "--rate", "0")
    assert story.open() == {}
    assert {how for how, _, _ in story.closed()} <= {"written", "already_there"}
    expected = sorted((story.event_id(n), sha256(b).hexdigest()) for n, b in enumerate(bodies))
    assert [(event_id, digest) for event_id, digest, _ in story.stored()] == expected
    features = rows(
        story.settings,
        "SELECT count(*), count(DISTINCT event_id) FROM payment_events WHERE received_at = %s",
        story.at,
    )
    assert features == [(60, 60)]
    assert await driven(story, pool, wanted) == []
    audit = story.audit()
    assert audit["ok"], audit
    assert audit["stages"]["bronze"]["events"] == audit["stages"]["redriven"]["events"] == 60
    assert audit["stages"]["quarantine"]["events"] == 0

    sent = next(result["sent_to"] for result in told["results"] if result["sent_to"])
    topic, partition, offset = sent.split("/")
    ranges = RangeReader(story.settings)
    (record,) = await ranges.read(topic, int(partition), int(offset), int(offset) + 1)
    await ranges.close()
    assert kafka.raw_event(record).received_at == story.at
    assert kafka.raw_event(record).verdict == VERDICT


async def test_a_replay_with_fixed_code_closes_the_class_and_the_audit_is_clean(
    stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the running normalizer rejects is an event for the replay's."""
    story = Story(stack, datetime.now(UTC), uuid4().hex[:8])
    bodies = [story.charge(number, description="a\0b") for number in range(5)]
    await story.receive(bodies)
    await story.quarantined(5)
    stripe = providers()["stripe"]
    normalize = stripe.normalize

    def mended(raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
        return normalize(raw._replace(body=raw.body.replace(rb"\u0000", b"")), context)

    monkeypatch.setattr(stripe, "normalize", mended)
    request = replay.Request(Window(story.at, story.at + timedelta(seconds=1)))
    done = await replaying.replay(stack, request, lambda _: None)
    assert (done.outcomes[ReplayOutcome.MENDED], done.letters_closed, done.ok) == (5, 5, True)
    assert story.open() == {}
    assert story.closed() == [("written", done.by, False)] * 5
    expected = [(story.event_id(n), sha256(body).hexdigest()) for n, body in enumerate(bodies)]
    assert [(event_id, digest) for event_id, digest, _ in story.stored()] == expected
    again = await replaying.replay(stack, request, lambda _: None)
    assert (again.outcomes[ReplayOutcome.UNCHANGED], again.letters_closed, again.ok) == (
        5,
        0,
        True,
    )
    assert len(story.stored()) == 5
    audit = story.audit()
    assert audit["ok"], audit
    assert audit["stages"]["redriven"]["events"] == 5


async def test_two_redrives_at_once_store_nothing_twice(story: Story, pool: asyncpg.Pool) -> None:
    await story.receive([story.charge(number) for number in range(20)], unreadable=True)
    await story.quarantined(20)
    wanted = await ids(pool, story)
    both = await asyncio.gather(*(driven(story, pool, wanted) for _ in range(2)))
    found = {outcome for results in both for outcome in outcomes(results)}
    assert found <= {Outcome.WRITTEN, Outcome.ALREADY_THERE, Outcome.CLOSED}
    assert len(story.stored()) == len(story.closed()) == 20
    assert story.audit()["ok"]

    async with dead_letter_clients.alone(pool):
        refused = story.dlq("redrive", "--by", "test", "--all")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "Another redrive is at work" in refused.stderr


async def test_conflicts_and_unmodelled_events_are_kept_apart(story: Story) -> None:
    first, second, third = (story.charge(0, amount=amount) for amount in (5, 6, 7))
    await story.receive([first])
    await until(lambda: len(story.stored()) == 1)
    tax_rate = {"id": "txr_1", "object": "tax_rate"}
    unmodelled = stripe_body("tax_rate.created", tax_rate, id=story.event_id(1))
    await story.receive([second])
    await story.quarantined(1)
    assert story.redrive("--all")["outcomes"] == {}
    refused = story.dlq("redrive", "--by", "test", "--class", "conflicting_body")
    assert refused.returncode == 2
    assert "--conflicts" in refused.stderr
    told = story.redrive("--class", "conflicting_body", "--conflicts")
    assert told["outcomes"] == {"conflict": 1}
    ((_, digest, _),) = story.stored()
    assert digest == sha256(first).hexdigest()

    await story.receive([unmodelled, third], unreadable=True)
    await story.quarantined(3)
    assert story.redrive("--all")["outcomes"] == {"conflict": 1, "unmodelled": 1}
    dismissed = commands.call(
        story.settings, "dlq", "dismiss", *story.window(), "--class", "conflicting_body",
        "--class", "unparseable", "--by", "test", "--note", "the first is right",
    )  # fmt: skip
    assert "dismissed: 2." in dismissed.stdout
    assert story.open() == {}
    again = commands.call(story.settings, "dlq", "reopen", story.event_id(0))
    assert "opened again: 1." in again.stdout
    assert story.open() == {"conflicting_body": 1}


async def test_a_patched_event_that_another_delivery_brought_is_already_there(
    story: Story,
) -> None:
    """The identity of the patched bytes is the one of the delivery that is in bronze."""
    wrong, right = story.charge(0, currency="xqq"), story.charge(0, currency="eur")
    await story.receive([wrong])
    await story.quarantined(1)
    await story.receive([json.dumps(json.loads(right) | {"pending_webhooks": 9}).encode()])
    await until(lambda: len(story.stored()) == 1)
    told = story.redrive("--all", "--patch", EURO)
    assert told["outcomes"] == {"already_there": 1}, told
    assert story.open() == {}
    audit = story.audit()
    assert audit["ok"], audit


async def test_a_second_rejection_leaves_one_open_dead_letter(
    story: Story, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's code is newer than the normalizer's, and judged otherwise."""
    await story.receive([story.charge(0, currency="xqq")], unreadable=True)
    await story.quarantined(1)
    monkeypatch.setattr(planning, "_normalized", lambda *_: None)
    (result,) = await driven(story, pool, await ids(pool, story))
    assert result.outcome is Outcome.REJECTED
    assert result.reason is not None
    assert result.reason.startswith("unknown_currency, data.object.currency: ")
    assert story.open() == {"unparseable": 1}
    assert story.closed() == [("duplicate", "test", False)]
    audit = story.audit()
    assert audit["ok"], audit
    quarantine = audit["stages"]["quarantine"]
    assert (quarantine["events"], quarantine["records"]) == (1, 2)


async def test_dead_letters_on_the_topics_only_are_stored_first(
    story: Story, pool: asyncpg.Pool
) -> None:
    await story.receive([story.charge(0)], unreadable=True)
    await story.quarantined(1)
    # As if no workflow had ever taken its range.
    await pool.execute("DELETE FROM payment_events_quarantine WHERE received_at = $1", story.at)
    told = story.listed()
    assert told["groups"] == []
    (group,) = told["only_on_topics"]
    assert (group["failure"], group["component"], group["letters"]) == ("unparseable", "gateway", 1)
    place = group["example_id"]
    assert place.startswith("webhooks.dlq/")
    assert story.listed("--class", "invalid")["only_on_topics"] == []
    assert story.redrive("--dry-run", "--id", place)["only_on_topics"] == 1
    assert story.redrive("--dry-run", "--id", "evt_another")["only_on_topics"] == 0
    shown = commands.call(story.settings, "dlq", "show", place, "--body", "--json")
    (letter,) = json.loads(shown.stdout)
    assert (letter["id"], letter["resolution"]) == (place, None)
    assert b64decode(letter["body"]).startswith(b"{")
    readable = commands.call(story.settings, "dlq", "show", place).stdout
    assert "none yet: this dead letter is only on the topic" in readable

    told = story.redrive("--all")
    assert (told["brought"], told["outcomes"]) == (1, {"written": 1})
    assert story.audit()["ok"]
    # The name that somebody has copied leads on to what it has become.
    closed = commands.call(story.settings, "dlq", "show", place, "--json")
    assert [each["resolution"] for each in json.loads(closed.stdout)] == ["written"]


async def test_bodies_are_shown_on_request_only_and_with_escapes(
    story: Story,
    tmp_path: Path,
) -> None:
    body = b'{"email": "jenny@example.com\x1b[2J'
    await story.receive([body])
    await story.quarantined(1)
    ((number,),) = rows(
        story.settings, "SELECT id FROM payment_events_quarantine WHERE received_at = %s", story.at
    )
    shown = commands.call(story.settings, "dlq", "show", str(number))
    assert "jenny" not in shown.stdout
    assert VERDICT in shown.stdout
    shown = commands.call(story.settings, "dlq", "show", str(number), "--body")
    assert r"jenny@example.com\x1b[2J" in shown.stdout
    assert "\x1b[2J" not in shown.stdout
    copy = tmp_path / "body"
    commands.call(story.settings, "dlq", "show", str(number), "--body-to", str(copy))
    assert copy.read_bytes() == body
    assert copy.stat().st_mode & 0o777 == 0o600
    missing = commands.call(story.settings, "dlq", "show", "evt_nobody")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
