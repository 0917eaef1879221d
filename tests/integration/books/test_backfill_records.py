"""A backfill sends what the gateway would have sent, with its provenance, and settles by bronze."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import pytest

from conftest import free_ports
from payment_operations import audit_run
from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.books import backfill
from payment_pipeline.bronze import writer
from payment_pipeline.dlq import dead_letter_clients
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.providers import Context, providers
from payment_pipeline.settings import Settings, fingerprint
from support import commands
from support.bronze_events import unscored
from support.normalized_events import rows
from support.records import every_record

pytestmark = pytest.mark.stack

STRIPE: Final = providers()["stripe"]
UNTIL: Final = datetime.now(UTC) - timedelta(hours=1)
EVENTS: Final = 80
"""More than a page of missing events. The client sends five requests a second."""
WORLD: Final = ("--events", str(EVENTS), "--days", "9", "--until", f"{UNTIL:%Y-%m-%dT%H:%M:%S}")


@contextmanager
def provider_api(settings: Settings) -> Iterator[Settings]:
    """Serve the simulated API as an operator does; yield settings that name it."""
    [port] = free_ports(1)
    served = commands.start(settings, "provider-api", "--port", str(port), *WORLD)
    try:
        assert served.stdout is not None
        line = served.stdout.readline()
        assert str(port) in line, line
        yield settings.model_copy(update={"api_url_stripe": f"http://127.0.0.1:{port}"})
    finally:
        served.terminate()
        served.communicate(timeout=60)


def call(settings: Settings, code: int, *words: str) -> dict[str, Any]:
    done = commands.call(settings, "books", *words, "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def received(settings: Settings) -> list[Any]:
    """Return every record of the raw topics."""
    return [
        each async for each in every_record(settings) if each.topic.startswith("webhooks.stripe")
    ]


async def write(settings: Settings, records: list[Any]) -> writer.Written:
    """Normalize records and write them to bronze, as the pipeline does."""
    context = Context(b"key", "1")
    events = [STRIPE.normalize(kafka.raw_event(record), context) for record in records]
    kept = [unscored(each) for each in events if not isinstance(each, Rejected | Unmodelled)]
    assert len(kept) == len(records)
    pool = await postgres.pool(settings)
    try:
        return await writer.write(pool, kept, "backfilled")
    finally:
        await pool.close()


async def test_missing_events_are_sent_once_and_settled_by_bronze(private_stores: Settings) -> None:
    stores = private_stores
    assert call(stores, 2, "status")["verdict"].startswith("not judged: no event list")
    assert await audit_run._provider(stores) is None
    with provider_api(stores) as settings:
        accounts = call(settings, 0, "pull")["accounts"]
        assert sum(each["events"] for each in accounts) == EVENTS
        missing = call(settings, 1, "status")["missing"]
        assert backfill.PAGE < len(missing) < EVENTS
        dry = call(settings, 0, "backfill", "--missing", "--dry-run")
        assert dry["outcomes"] == {"missing": len(missing)}
        assert await received(settings) == []

        sent = call(settings, 1, "backfill", "--missing", "--by", "ana", "--wait", "0")
        assert sent["outcomes"] == {"under_way": len(missing)}
        records = await received(settings)
        assert sorted(_headers(each)["ce_id"] for each in records) == sorted(missing)
        key = fingerprint(settings.secret("api_key_stripe"))
        for record in records:
            headers = _headers(record)
            assert headers["verdict"] == f"fetched:stripe:{key}"
            assert headers["provenance"] == "api"
            assert headers["body_sha256"] == sha256(record.value).hexdigest()
        call(settings, 1, "backfill", "--missing", "--by", "ana", "--wait", "0")
        twice = await received(settings)
        assert len(twice) == 2 * len(missing)

        written = await write(settings, twice)
        assert (len(written.inserted), written.conflicts) == (len(missing), [])
        clean = call(settings, 0, "status")
        assert (clean["missing"], clean["unlisted"]) == ([], [])
        again = call(settings, 0, "backfill", "--missing", "--by", "ana")
        assert again["events"] == []
    provider = await audit_run._provider(stores)
    assert provider is not None
    assert provider.ok
    provenance = rows(
        stores,
        "SELECT count(*) FROM payment_events JOIN provider_backfills "
        "USING (provider, event_id, body_sha256) WHERE asked_by = 'ana'",
    )
    assert provenance == [(len(missing),)]
    actions = rows(stores, "SELECT action, stage FROM operator_actions")
    assert actions.count(("books backfill", "ended")) == 3
    assert actions.count(("books pull", "ended")) == 1


def test_a_wrong_call_is_one_sentence(private_stores: Settings) -> None:
    for words, said in (
        (("backfill", "--by", "ana"), "--missing takes every event"),
        (("backfill", "--missing", "--by", " "), "Give your name with --by"),
        (("pull", "--provider", "nobody"), "use one of stripe"),
        (("status", "--provider", "nobody"), "use one of stripe"),
        (("pull", "--since", "yesterday"), "yesterday"),
    ):
        done = commands.call(private_stores, "books", *words)
        assert done.returncode == 2, words
        assert said in done.stderr
        assert "Traceback" not in done.stderr


async def test_a_backfill_does_not_run_beside_an_erasure_or_a_redrive(
    private_stores: Settings,
) -> None:
    async with (
        dead_letter_clients.quarantine(private_stores) as pool,
        dead_letter_clients.alone(pool),
    ):
        words = ("books", "backfill", "--missing", "--by", "ana")
        done = await asyncio.to_thread(commands.call, private_stores, *words)
    assert done.returncode == 1
    assert "an erasure" in done.stderr


def _headers(record: Any) -> dict[str, str]:  # noqa: ANN401 - aiokafka has no types
    return {name: value.decode() for name, value in record.headers}
