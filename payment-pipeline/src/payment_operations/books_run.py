"""The work of the `payments books` commands: connect, act, print, exit code."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import asyncpg
from aiokafka.errors import KafkaError

from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.books import api_client, event_comparison, inventory
from payment_pipeline.books import backfill as backfilling
from payment_pipeline.books.backfill import Filled, Outcome
from payment_pipeline.books.event_comparison import Comparison
from payment_pipeline.books.inventory import Pulled
from payment_pipeline.dlq import dead_letter_clients
from payment_pipeline.domain.failures import UserError
from payment_pipeline.ledger import audit_window
from payment_pipeline.providers.provider_books import Books, books
from payment_pipeline.settings import Settings, fingerprint

from . import books_text
from .operator_actions import IDS_MAX
from .terminal import Screen

LOCK_KEY: Final = 0x626F6F6B73
"""The number of the advisory lock: the ASCII codes of "books"."""
BY_CHARACTERS_MAX: Final = 100

Done = TypeVar("Done")


def pull(
    settings: Settings, provider: str, since: str | None, detail: dict[str, Any], *, as_json: bool
) -> int:
    """Pull the list of events, print what was found, and return the exit code.

    Raises:
        UserError: the provider has no books, there is no key, the API or PostgreSQL does not
            answer, or another pull or backfill is running.
    """
    found = _books(provider)
    now = datetime.now(UTC)
    oldest = audit_window.parse(since, None, now).since if since else None

    async def do() -> list[Pulled]:
        with Screen(stderr=True).status("connecting") as progress:
            async with (
                _bronze(settings) as pool,
                _alone(pool),
                api_client.connected(settings, provider, found) as client,
            ):
                return await inventory.pull(pool, client, oldest, now, progress)

    pulled = _run(do())
    detail |= {"accounts": len(pulled), "events": sum(each.events for each in pulled)}
    screen = Screen()
    if as_json:
        screen.json({"ok": True, "accounts": [*map(books_text.pulled_as_json, pulled)]})
        return 0
    books_text.show_pulled(pulled, provider, screen)
    return 0


def status(settings: Settings, provider: str, *, as_json: bool) -> int:
    """Compare the list with bronze, print the result, and return the exit code.

    Raises:
        UserError: the provider has no books, or PostgreSQL does not answer.
    """
    _books(provider)

    async def ask() -> Comparison:
        async with _bronze(settings) as pool:
            return await event_comparison.compare(pool, provider, datetime.now(UTC))

    compared = _run(ask())
    if as_json:
        Screen().json(event_comparison.as_json(compared))
    else:
        books_text.show_comparison(compared, Screen())
    return event_comparison.exit_code(compared)


def backfill(
    settings: Settings,
    provider: str,
    detail: dict[str, Any],
    *,
    missing: bool,
    by: str,
    dry_run: bool,
    limit: int,
    wait_s: float,
    as_json: bool,
) -> int:
    """Fetch the missing events, print the outcome of each, and return the exit code.

    Raises:
        UserError: the call lacks `--missing` or a name, or a store or the API does not answer.
    """
    found = _books(provider)
    if not missing:
        raise UserError("Say what to fetch: --missing takes every event that nobody received.")
    if not dry_run and not 0 < len(by.strip()) <= BY_CHARACTERS_MAX:
        raise UserError("Give your name with --by NAME, of at most 100 characters.")

    async def do() -> list[Filled]:
        async with _bronze(settings) as pool:
            if dry_run:
                events = await backfilling.missing(pool, provider, datetime.now(UTC), limit)
                return [Filled(event, Outcome.MISSING) for event in events]
            request = backfilling.Request(by, b"", wait_s, settings.body_bytes_max)
            # An erasure holds the lock of redrives, so no event of the person is sent meanwhile.
            async with _alone(pool), dead_letter_clients.alone(pool):
                return await _fill(settings, pool, (provider, found), request, limit)

    filled = _run(do())
    outcomes = Counter(each.outcome.value for each in filled)
    ids = [each.event.event_id for each in filled]
    detail |= {"events": len(ids), "ids": ids[:IDS_MAX], "outcomes": dict(outcomes)}
    ok = dry_run or all(each.outcome in backfilling.SETTLED for each in filled)
    if as_json:
        Screen().json(
            {
                "ok": ok,
                "outcomes": dict(outcomes),
                "events": [*map(books_text.filled_as_json, filled)],
            }
        )
    else:
        books_text.show_filled(filled, Screen())
    return 0 if ok else 1


async def _fill(
    settings: Settings,
    pool: asyncpg.Pool,
    of: tuple[str, Books],
    request: backfilling.Request,
    limit: int,
) -> list[Filled]:
    provider, found = of
    events = await backfilling.missing(pool, provider, datetime.now(UTC), limit)
    key = fingerprint(api_client.api_key(settings, provider, found))
    request = backfilling.Request(
        request.asked_by,
        f"fetched:{provider}:{key}".encode(),
        request.wait_s,
        request.body_bytes_max,
    )
    producer = kafka.producer(settings)
    try:
        await producer.start()
        with Screen(stderr=True).bar(len(events)) as show:
            async with api_client.connected(settings, provider, found) as client:
                return await backfilling.backfill(
                    pool, client, producer, events, request,
                    lambda done, waiting: show(done, f"{waiting:,} in progress"),
                )  # fmt: skip
    except KafkaError as refusal:
        raise kafka.unreachable(settings, refusal) from None
    finally:
        await producer.stop()


def _books(provider: str) -> Books:
    known = books()
    if provider not in known:
        raise UserError(f"--provider {provider}: use one of {', '.join(sorted(known))}.")
    return known[provider]


@asynccontextmanager
async def _bronze(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await postgres.pool(settings, application="payments-books")
    try:
        yield pool
    except asyncpg.UndefinedTableError:
        raise UserError(
            "The database schema is older than this code. Run `payments migrate`."
        ) from None
    finally:
        await pool.close()


@asynccontextmanager
async def _alone(pool: asyncpg.Pool) -> AsyncIterator[None]:
    refusal = "Another `payments books` command is running. Wait until it ends."
    async with postgres.exclusive(pool, LOCK_KEY, refusal):
        yield


def _run(work: Coroutine[None, None, Done]) -> Done:
    kafka.quiet()
    return asyncio.run(work)
