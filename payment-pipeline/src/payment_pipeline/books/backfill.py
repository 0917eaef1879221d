"""Fetches events that the provider lists and nobody received, and sends them to their raw topics.

From there an event takes the usual way, as a redriven one does. Bronze keeps each event once. So a
webhook that arrives later, in whatever API version, is a duplicate, and a backfill may be repeated
after any crash.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from time import monotonic
from typing import Final, NamedTuple

import asyncpg
from aiokafka import AIOKafkaProducer

from payment_pipeline.adapters.kafka import Outgoing, send_all
from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.providers import Unparseable, event_headers
from payment_pipeline.providers.provider_books import Listed

from .api_client import ApiClient, RefusedError

GRACE: Final = timedelta(minutes=15)
"""A webhook may take this long. Only then a listed event that nobody received is missing."""
LIMIT: Final = 100_000
"""How many missing events one call finds at most, the oldest first."""
PAGE: Final = 50
"""Events fetched and sent at a time."""
ASK_AGAIN_S: Final = 0.25
PROVENANCE: Final = b"api"

_SQL: Final = queries(__package__, "queries.sql")


class Missing(NamedTuple):
    """An event that the provider lists and that is in no table."""

    account: str
    event_id: str
    event_type: str
    livemode: bool
    created_at: datetime
    identity_sha256: str


class Outcome(StrEnum):
    """What became of a missing event."""

    MISSING = "missing"
    """In a dry run: the event would be fetched."""
    WRITTEN = "written"
    """Bronze has the event now."""
    REJECTED = "rejected"
    """The normalizer rejected the event: it is a dead letter now."""
    GONE = "gone"
    """The API no longer has the event: it is older than the provider's horizon."""
    UNREADABLE = "unreadable"
    """The API answered with something that is not this event, or that is too large."""
    UNDER_WAY = "under_way"
    """Sent, and in no table yet. The same command again settles it."""


SETTLED: Final = frozenset({Outcome.WRITTEN, Outcome.REJECTED})


class Filled(NamedTuple):
    """A missing event and its outcome."""

    event: Missing
    outcome: Outcome


@dataclass(frozen=True)
class Request:
    """The parameters of a backfill."""

    asked_by: str
    verdict: bytes
    """How the events are verified: `fetched:<provider>:<fingerprint of the key>`."""
    wait_s: float = 60.0
    """Seconds to wait until bronze has the last events."""
    body_bytes_max: int = 1_048_576


Progress = Callable[[int, int], None]
"""Is called with the number of events with an outcome, and the number sent without one."""


async def missing(
    pool: asyncpg.Pool, provider: str, now: datetime, limit: int = LIMIT
) -> list[Missing]:
    """Return the events that are listed for longer than the grace, and that are in no table."""
    rows = await patiently(pool, _SQL["missing"], provider, now - GRACE, limit)
    return [Missing(*row) for row in rows]


async def patiently(pool: asyncpg.Pool, query: str, *values: object) -> list[asyncpg.Record]:
    """Run a query over every listed event, with more time than the pool's other queries have."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_SQL["patience"])
        rows: list[asyncpg.Record] = await connection.fetch(query, *values)
        return rows


async def backfill(
    pool: asyncpg.Pool,
    client: ApiClient,
    producer: AIOKafkaProducer,
    events: Iterable[Missing],
    request: Request,
    progress: Progress,
) -> list[Filled]:
    """Fetch and send missing events, and wait until they are in a table.

    Raises:
        UserError: the API refused the key or gave no answer, or Kafka did not acknowledge.
        KafkaError: the broker does not answer.
    """
    filled: list[Filled] = []
    waiting: dict[str, Missing] = {}
    rest = iter(events)
    while page := list(islice(rest, PAGE)):
        fetched = [(event, await _fetch(client, event, request)) for event in page]
        filled += [Filled(event, got) for event, got in fetched if isinstance(got, Outcome)]
        ready = [(event, got) for event, got in fetched if isinstance(got, Listed)]
        await _intend(pool, client.provider, ready, request)
        await send_all(producer, [_record(client.provider, got, request) for _, got in ready])
        waiting |= {event.event_id: event for event, _ in ready}
        filled += await _arrived(pool, client.provider, waiting)
        progress(len(filled), len(waiting))
    deadline = monotonic() + request.wait_s
    while waiting and monotonic() < deadline:
        await asyncio.sleep(ASK_AGAIN_S)
        filled += await _arrived(pool, client.provider, waiting)
        progress(len(filled), len(waiting))
    return filled + [Filled(event, Outcome.UNDER_WAY) for event in waiting.values()]


async def _fetch(client: ApiClient, event: Missing, request: Request) -> Listed | Outcome:
    """Fetch one event. The answer must be the event that was listed."""
    try:
        answer = await client.get(client.books.event(event.event_id), event.account)
    except RefusedError:
        return Outcome.GONE
    found = client.books.read_event(answer, event.account)
    if isinstance(found, Unparseable) or found.envelope.event_id != event.event_id:
        return Outcome.UNREADABLE
    return found if len(found.body) <= request.body_bytes_max else Outcome.UNREADABLE


async def _intend(
    pool: asyncpg.Pool, provider: str, ready: Sequence[tuple[Missing, Listed]], request: Request
) -> None:
    columns = (
        [event.account for event, _ in ready],
        [event.event_id for event, _ in ready],
        [sha256(got.body).hexdigest() for _, got in ready],
    )
    await pool.execute(_SQL["intend"], provider, *columns, request.asked_by)


async def _arrived(pool: asyncpg.Pool, provider: str, waiting: dict[str, Missing]) -> list[Filled]:
    """Remove the events that are in a table now, and return them."""
    rows = await pool.fetch(_SQL["arrived"], provider, list(waiting)) if waiting else []
    stored = {row["event_id"] for row in rows if row["is_stored"]}
    rejected = {row["event_id"] for row in rows} - stored
    return [
        *(Filled(waiting.pop(each), Outcome.WRITTEN) for each in sorted(stored)),
        *(Filled(waiting.pop(each), Outcome.REJECTED) for each in sorted(rejected)),
    ]


def _record(provider: str, event: Listed, request: Request) -> Outgoing:
    """The record that the gateway would have written, with another verdict and a provenance."""
    received_at = datetime.now(UTC).isoformat(timespec="microseconds")
    receipt = (
        (names.BODY_SHA256, sha256(event.body).hexdigest().encode()),
        (names.RECEIVED_AT, received_at.encode()),
        (names.VERDICT, request.verdict),
        (names.PROVENANCE, PROVENANCE),
    )
    return Outgoing(
        topics.raw(provider, event.envelope.resource),
        event.envelope.key.encode(),
        event.body,
        event_headers(provider, event.envelope) + receipt,
    )
