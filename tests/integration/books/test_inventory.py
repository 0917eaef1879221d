"""The inventory of events is whole after kills, storms and gaps, and names what did not arrive."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import aiohttp
import asyncpg
import psycopg
import pytest
import pytest_asyncio

from conftest import own_stack
from payment_pipeline.adapters import postgres
from payment_pipeline.books import backfill, event_comparison, inventory
from payment_pipeline.books.api_client import ApiClient
from payment_pipeline.books.inventory import Pulled
from payment_pipeline.bronze import writer
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.providers import Context, Envelope, providers
from payment_pipeline.providers.provider_books import books
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.api_server import serving
from payment_pipeline.simulator.faults import Faults
from payment_pipeline.simulator.provider_api import ApiFaults, SimulatedApi
from payment_pipeline.simulator.renderings import for_api
from payment_pipeline.simulator.traffic import Period, deliveries, events
from payment_pipeline.simulator.world import Event
from support.bronze_events import unscored
from support.databases import migrated_schema

pytestmark = pytest.mark.stack

KEY: Final = "rk_test_0123456789abcdef"
UNTIL: Final = datetime(2026, 6, 1, tzinfo=UTC)
NOW: Final = UNTIL + timedelta(hours=1)
PERIOD: Final = Period(UNTIL, days=20)
COUNT: Final = 1200
STRIPE: Final = providers()["stripe"]
UNFINISHED: Final = "SELECT account FROM provider_cursors WHERE position IS NOT NULL"
WORLD: Final = tuple(events(5, COUNT, PERIOD))


@pytest.fixture(scope="module")
def server() -> Iterator[Settings]:
    """A PostgreSQL of this module."""
    with own_stack("postgres") as settings:
        yield settings


@pytest_asyncio.fixture
async def bronze(server: Settings) -> AsyncIterator[asyncpg.Pool]:
    """New, empty bronze tables for one test."""
    with migrated_schema(server) as settings:
        pool = await postgres.pool(settings, 1, 4)
        yield pool
        await pool.close()


@asynccontextmanager
async def client(api: SimulatedApi) -> AsyncIterator[ApiClient]:
    """A client of the simulated API that does not wait."""

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with serving(api, "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:
        yield ApiClient("stripe", books()["stripe"], KEY, url, session, at_once)


def an_api(world: tuple[Event, ...] = WORLD, faults: ApiFaults | None = None) -> SimulatedApi:
    api = SimulatedApi(KEY, faults=faults or ApiFaults(), now_s=NOW.timestamp)
    api.requests_per_s_max = 1_000_000
    api.add(world)
    return api


async def pull(
    pool: asyncpg.Pool, api: SimulatedApi, since: datetime | None = None, now: datetime = NOW
) -> list[Pulled]:
    async with client(api) as connected:
        return await inventory.pull(pool, connected, since, now, lambda _: None)


async def listed(pool: asyncpg.Pool) -> set[str]:
    rows = await pool.fetch("SELECT event_id FROM provider_event_inventory")
    return {row["event_id"] for row in rows}


def normalized(body: bytes) -> PaymentEvent | Rejected | Unmodelled:
    read = STRIPE.read(body)
    assert isinstance(read, Envelope)
    raw = RawEvent(
        "stripe", Coordinates("t", 0, 0), body, read.event_id, sha256(body).hexdigest(), NOW, "v",
        None, read.event_type, read.identity_sha256,
    )  # fmt: skip
    return STRIPE.normalize(raw, Context(b"key", "1"))


async def receive(
    pool: asyncpg.Pool, bodies: list[bytes], workflow: str = "webhooks"
) -> writer.Written:
    """Write the payment events of webhooks to bronze."""
    found = [each for body in bodies if not isinstance(each := normalized(body), Unmodelled)]
    rows = [unscored(each) for each in found if not isinstance(each, Rejected)]
    return await writer.write(pool, rows, workflow)


async def test_every_event_of_every_account_is_listed_once(bronze: asyncpg.Pool) -> None:
    pulled = await pull(bronze, an_api())
    assert len(pulled) > 3
    assert await listed(bronze) == {event.event_id for event in WORLD}
    before = await bronze.fetch("SELECT * FROM provider_event_inventory ORDER BY event_id")
    await pull(bronze, an_api(), NOW - timedelta(days=29))
    assert await bronze.fetch("SELECT * FROM provider_event_inventory ORDER BY event_id") == before


async def test_the_next_pull_continues_and_overlaps(bronze: asyncpg.Pool) -> None:
    early = tuple(event for event in WORLD if event.created < UNTIL.timestamp() - 86_400)
    yesterday = UNTIL - timedelta(days=1)
    await pull(bronze, an_api(early), now=yesterday)
    pulled = await pull(bronze, an_api())
    assert all(each.window.since == yesterday - timedelta(hours=2, seconds=60) for each in pulled)
    assert sum(each.events for each in pulled) < COUNT / 4
    assert await listed(bronze) == {event.event_id for event in WORLD}


@pytest.mark.parametrize("requests", [2, 3, 5, 8])
async def test_a_killed_pull_continues_without_a_gap(bronze: asyncpg.Pool, requests: int) -> None:
    class Killed(BaseException):
        pass

    api = an_api()
    async with client(api) as connected:
        get = connected.get

        async def dying(*asked: object) -> bytes:
            if connected.requests == requests:
                raise Killed
            return await get(*asked)  # type: ignore[arg-type]

        connected.get = dying  # type: ignore[assignment,method-assign]
        with pytest.raises(Killed):
            await inventory.pull(bronze, connected, None, NOW, lambda _: None)
    assert len(await listed(bronze)) < COUNT
    unfinished = await bronze.fetch(UNFINISHED)
    later = await pull(bronze, an_api(), now=NOW + timedelta(minutes=10))
    assert await listed(bronze) == {event.event_id for event in WORLD}
    assert sum(each.resumed for each in later) == len(unfinished)
    assert await bronze.fetch(UNFINISHED) == []


async def test_a_storm_of_429_and_500_leaves_no_gap(bronze: asyncpg.Pool) -> None:
    api = an_api(faults=ApiFaults(0.3, 0.1))
    await pull(bronze, api)
    assert await listed(bronze) == {event.event_id for event in WORLD}


async def test_a_page_and_its_cursor_are_stored_together_or_not_at_all(
    bronze: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = "$1::text, $2::text, $3::bool, $4::text, $5::text, $6::timestamptz, $7::timestamptz"
    broken = {**inventory._SQL, "advance": f"SELECT 1 / (num_nulls({given}) * 0)"}
    monkeypatch.setattr(inventory, "_SQL", broken)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pull(bronze, an_api())
    assert await listed(bronze) == set()


async def test_what_was_withheld_is_named_and_nothing_else(bronze: asyncpg.Pool) -> None:
    sent = [d.body for d in deliveries(5, COUNT, PERIOD, Faults(withheld=0.05))]
    await receive(bronze, sent)
    await pull(bronze, an_api())
    compared = await event_comparison.compare(bronze, "stripe", NOW)
    arrived = {row["event_id"] for row in await bronze.fetch("SELECT event_id FROM payment_events")}
    withheld = {
        event.event_id
        for event in WORLD
        if event.event_id not in arrived and not isinstance(normalized(event.body), Unmodelled)
    }
    assert 20 < len(withheld) < 120
    assert set(compared.missing) == withheld
    assert compared.unlisted == ()
    assert event_comparison.exit_code(compared) == 1
    assert "MISSING_WEBHOOK" in event_comparison.verdict(compared)


async def test_a_fetched_event_and_its_late_webhook_are_one_row(bronze: asyncpg.Pool) -> None:
    named = [(STRIPE.read(event.body), event) for event in WORLD]
    fetched = []
    for read, event in named:
        assert isinstance(read, Envelope)
        own = books()["stripe"].read_event(for_api(event), read.account or "platform")
        fetched.append(own.body)  # type: ignore[union-attr]
    first = await receive(bronze, fetched)
    assert first.conflicts == []
    assert len(first.inserted) > 1000
    later = await receive(bronze, [event.body for event in WORLD], "later")
    assert (len(later.inserted), len(later.conflicts)) == (0, 0)
    assert len(later.duplicates) == len(first.inserted)


async def test_an_event_that_the_provider_never_made_is_named(bronze: asyncpg.Pool) -> None:
    await receive(bronze, [event.body for event in WORLD])
    forged = WORLD[COUNT // 2].event_id
    await pull(bronze, an_api(tuple(event for event in WORLD if event.event_id != forged)))
    compared = await event_comparison.compare(bronze, "stripe", NOW)
    expected = (forged,) if not isinstance(normalized(WORLD[COUNT // 2].body), Unmodelled) else ()
    assert expected
    assert compared.unlisted == expected
    assert event_comparison.exit_code(compared) == 1


async def test_everything_here_is_clean_and_an_old_list_is_not_judged(bronze: asyncpg.Pool) -> None:
    await receive(bronze, [event.body for event in WORLD])
    empty = await event_comparison.compare(bronze, "stripe", NOW)
    assert event_comparison.exit_code(empty) == 2
    await pull(bronze, an_api())
    fresh = await event_comparison.compare(bronze, "stripe", NOW)
    assert (event_comparison.exit_code(fresh), fresh.missing, fresh.unlisted) == (0, (), ())
    old = await event_comparison.compare(bronze, "stripe", NOW + timedelta(hours=3))
    assert event_comparison.exit_code(old) == 2
    assert "STALE_SOURCE" in event_comparison.verdict(old)


async def test_a_webhook_has_15_minutes_to_arrive(bronze: asyncpg.Pool) -> None:
    await pull(bronze, an_api())
    newest = max(datetime.fromtimestamp(event.created, UTC) for event in WORLD)
    names = {each.event_id for each in await backfill.missing(bronze, "stripe", newest)}
    late = newest - timedelta(minutes=15)
    assert names
    assert all(
        datetime.fromtimestamp(event.created, UTC) < late
        for event in WORLD
        if event.event_id in names
    )


def test_the_reader_sees_the_books_and_changes_nothing(server: Settings) -> None:
    with migrated_schema(server), psycopg.connect(server.dsn_as("reader")) as connection:
        for table in ("provider_event_inventory", "provider_cursors", "provider_backfills"):
            held = connection.execute(
                "SELECT has_table_privilege('payments_reader', %s, 'UPDATE')", (table,)
            ).fetchone()
            assert held == (False,)
