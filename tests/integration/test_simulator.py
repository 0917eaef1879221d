"""`payments simulate`: its exit codes, its ledger, and the destinations of its traffic."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from payment_pipeline.domain import client_ledger
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.faults import Destination, Fault, Faults
from payment_pipeline.simulator.traffic import Period, deliveries
from support import commands

OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
SETTLES_S: Final = 120
UNTIL: Final = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def alone(tmp_path: Path) -> Settings:
    """Settings without a running stack."""
    secret = tmp_path / "secrets" / "webhook_secrets_stripe"
    secret.parent.mkdir()
    secret.write_text("whsec_alone")
    return Settings(var=tmp_path)


@asynccontextmanager
async def gateway(answer: Callable[[], bytes]) -> AsyncIterator[str]:
    """A server that answers every request; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).lower():
                length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                writer.write(answer())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks/stripe"
    finally:
        server.close()


async def call(settings: Settings, *words: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(commands.call, settings, "simulate", *words)
    return done.returncode, done.stdout, done.stderr


async def test_standard_output_has_only_the_json_which_names_the_ledger(alone: Settings) -> None:
    async with gateway(lambda: OK) as url:
        code, stdout, _ = await call(
            alone, "--events", "300", "--duplicates", "0.1", "--url", url, "--json"
        )
    assert code == 0
    summary = json.loads(stdout)
    assert summary["ok"] is True
    assert summary["answers"] == {"200": summary["deliveries"]}
    assert summary["deliveries"] == 300 + summary["faults"]["duplicate"]
    ledger = Path(summary["ledger"])
    assert ledger.parent == alone.var / "simulator"
    assert len(ledger.read_bytes().splitlines()) == summary["attempts"]


async def test_the_text_shows_the_seed_the_ledger_and_the_answers(alone: Settings) -> None:
    async with gateway(lambda: OK) as url:
        code, stdout, stderr = await call(
            alone, "--events", "50", "--seed", "9", "--until", "2026-06-01", "--url", url
        )
    assert code == 0
    assert "seed 9" in stderr
    assert "2026-06-01T00:00:00+00:00" in stderr
    assert "ledger-9-" in stderr
    assert "200: 50" in stdout


async def test_a_wrong_answer_is_one_sentence_and_exit_code_1(alone: Settings) -> None:
    refused = b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"
    async with gateway(lambda: refused) as url:
        code, _, stderr = await call(alone, "--events", "5", "--url", url)
    assert code == 1
    assert "5 of 5 deliveries got a wrong answer" in stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--url", "http://203.0.113.1/x"), "loopback"),
        (("--url", "http://127.0.0.1:1/x"), "Nothing listens"),
        (("--burst", "10"), "--rate"),
        (("--ledger", "/proc/no/such/file"), "can't be written"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    alone: Settings, words: tuple[str, ...], sentence: str
) -> None:
    done = commands.call(alone, "simulate", "--events", "1", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_secret_nothing_is_sent(tmp_path: Path) -> None:
    done = commands.call(Settings(var=tmp_path), "simulate", "--events", "1")
    assert done.returncode == 2
    assert "PAYMENTS_WEBHOOK_SECRETS_STRIPE" in done.stderr


async def test_a_killed_run_keeps_its_ledger(alone: Settings, tmp_path: Path) -> None:
    answered = 0
    half_way = asyncio.Event()

    def count() -> bytes:
        nonlocal answered
        answered += 1
        if answered == 500:
            half_way.set()
        return OK

    ledger = tmp_path / "killed.jsonl"
    async with gateway(count) as url:
        words = ("simulate", "--events", "1000000", "--url", url, "--ledger", str(ledger))
        process = commands.start(alone, *words)
        try:
            await asyncio.wait_for(half_way.wait(), 60)
        finally:
            process.kill()
            await asyncio.to_thread(process.communicate)
    lines = ledger.read_bytes().splitlines()
    attempts = [client_ledger.load(line) for line in lines]
    assert all(attempt and attempt.answer == 200 for attempt in attempts[:-1])
    connections = 32
    assert answered - connections <= len(lines) <= answered


FAULTS: Final = (
    *("--duplicates", "0.1", "--malformed", "0.15", "--altered", "0.03"),
    *("--second-endpoint", "0.1"),
)


async def destinations(settings: Settings) -> dict[str, set[str]]:
    """The tables that contain each body, by its hash. For the quarantine, the failure class."""
    connection = await asyncpg.connect(settings.dsn)
    try:
        events = await connection.fetch("SELECT body_sha256 FROM payment_events")
        quarantine = await connection.fetch(
            "SELECT body_sha256, failure FROM payment_events_quarantine"
        )
    finally:
        await connection.close()
    found: dict[str, set[str]] = defaultdict(set)
    for row in events:
        found[row["body_sha256"]].add(Destination.EVENTS)
    for row in quarantine:
        found[row["body_sha256"]].add(row["failure"])
    return found


@pytest.mark.stack
async def test_every_delivery_reaches_its_expected_destination(stack: Settings) -> None:
    code, stdout, stderr = await call(
        stack, "--events", "1200", "--seed", "77", "--until", "2026-06-01", "--json", *FAULTS
    )
    assert code == 0, stderr
    summary: dict[str, Any] = json.loads(stdout)
    faults = Faults(duplicates=0.1, malformed=0.15, altered=0.03, second_endpoint=0.1)
    sent = list(deliveries(77, 1200, Period(UNTIL), faults))
    assert summary["deliveries"] == len(sent)

    altered = {delivery.event_id for delivery in sent if delivery.fault is Fault.ALTERED}
    second = {d.event_id for d in sent if d.fault is Fault.SECOND_ENDPOINT}
    # The bodies that are one event, by event. One of them is stored, whichever came first.
    same: dict[str | None, set[str]] = defaultdict(set)
    changed: dict[str | None, str] = {}
    expected: dict[str, set[str]] = {}
    for delivery in sent:
        digest = sha256(delivery.body).hexdigest()
        if delivery.fault is Fault.ALTERED:
            changed[delivery.event_id] = digest
        elif delivery.destination is Destination.UNMODELLED:
            continue
        elif delivery.event_id in altered | second:
            same[delivery.event_id].add(digest)
        else:
            expected[digest] = {delivery.failure or delivery.destination}

    async with asyncio.timeout(SETTLES_S):
        found = await destinations(stack)
        while not (
            all(found[digest] for digest in (*expected, *changed.values()))
            and all(any(found[digest] for digest in bodies) for bodies in same.values())
        ):
            await asyncio.sleep(0.5)
            found = await destinations(stack)
    assert {digest: found[digest] for digest in expected} == expected
    for event_id, bodies in same.items():
        ends = [found[digest] for digest in bodies if found[digest]]
        if event_id in changed:
            ends.append(found[changed[event_id]])
            expected_ends = [{Destination.EVENTS}, {"conflicting_body"}]
            assert sorted(ends, key=str) == sorted(expected_ends, key=str), event_id
        else:
            assert ends == [{Destination.EVENTS}], event_id
