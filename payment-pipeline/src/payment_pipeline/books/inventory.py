"""The inventory of a provider's events: pulls the list of its API into bronze, page by page.

A page and the cursor behind it are one transaction. So a walk that is killed continues after the
last stored page, and no page is left out. A page that is pulled twice changes nothing.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar

import asyncpg

from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.failures import Unmodelled, UserError
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.providers import Context, Unparseable, providers
from payment_pipeline.providers.provider_books import PLATFORM, Listed, Page, Window

from .api_client import ApiClient, RefusedError

EVENTS: Final = "events"
"""The stream of events in `provider_cursors`."""
OVERLAP: Final = timedelta(hours=2)
"""How far a walk goes back behind the last one. An event may appear in the list late."""
EDGE: Final = timedelta(hours=1)
"""The oldest events leave the list during a walk, so the first walk begins this much later."""
SETTLED: Final = timedelta(seconds=60)
"""The newest events are left to the next walk, because the list may still lack some of them."""

JUDGE: Final = Context(pseudonym_key=b"judged only", normalizer_version="judge")
_SQL: Final = queries(__package__, "queries.sql")

Progress = Callable[[str], None]
Answered = TypeVar("Answered")


class Pulled(NamedTuple):
    """What a walk of one account found."""

    account: str
    window: Window
    pages: int
    events: int
    resumed: bool
    """Whether an earlier walk had stopped in the middle, and this one continued it first."""


class _Cursor(NamedTuple):
    position: str | None
    window: Window | None
    complete_to: datetime | None


async def pull(
    pool: asyncpg.Pool,
    client: ApiClient,
    since: datetime | None,
    now: datetime,
    progress: Progress,
) -> list[Pulled]:
    """Pull the events of every account that the key can read.

    Args:
        pool: bronze.
        client: the provider's API.
        since: the oldest creation; `None` continues where the last walk ended.
        now: the time of the call.
        progress: is called with a sentence.

    Raises:
        UserError: the API refused the key, gave no answer, or gave one that can't be read.
    """
    livemode = _read(client, client.books.read_mode(await _balance(client)))
    pulled = []
    for account in await accounts(client):
        walk = _Walk(pool, client, account, livemode, progress)
        pulled.append(await walk.run(since, now))
    return pulled


async def accounts(client: ApiClient) -> list[str]:
    """The account of the key, and every account that is connected to it."""
    found, after = [PLATFORM], None
    while True:
        try:
            answer = await client.get(client.books.accounts(after), PLATFORM)
        except RefusedError:  # the account has no connected ones
            return found
        page: Page[str] = _read(client, client.books.read_accounts(answer))
        found += page.items
        after = page.after
        if after is None:
            return found


class _Walk:
    """The walk of one account's events."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        client: ApiClient,
        account: str,
        livemode: bool,
        progress: Progress,
    ) -> None:
        self._pool, self._client, self._progress = pool, client, progress
        self._account = account
        self._key = (client.provider, account, livemode, EVENTS)
        self._pages = self._events = 0

    async def run(self, since: datetime | None, now: datetime) -> Pulled:
        """Complete an interrupted walk, then walk the new window."""
        cursor = await self._cursor()
        resumed = cursor.position is not None and cursor.window is not None
        if cursor.position and cursor.window:
            await self._walk(cursor.window, cursor.position)
            cursor = await self._cursor()
        oldest = now - self._client.books.horizon + EDGE
        until = now - SETTLED
        known = cursor.complete_to - OVERLAP if cursor.complete_to else oldest
        window = Window(max(oldest, min(since or known, until)), until)
        await self._walk(window, None)
        return Pulled(self._account, window, self._pages, self._events, resumed)

    async def _walk(self, window: Window, after: str | None) -> None:
        while True:
            try:
                answer = await self._client.get(
                    self._client.books.events(window, after), self._account
                )
            except RefusedError as refusal:
                if after is None:
                    raise UserError(
                        f"The API refused to list the events of {self._account} "
                        f"({refusal.status}).",
                        1,
                    ) from None
                after = None  # the event of the cursor left the list: begin the window again
                continue
            page: Page[Listed] = _read(
                self._client, self._client.books.read_events(answer, self._account)
            )
            await self._keep(page, window)
            self._pages += 1
            self._events += len(page.items)
            self._progress(f"{self._account}: {self._events:,} events")
            after = page.after
            if after is None:
                return

    async def _keep(self, page: Page[Listed], window: Window) -> None:
        """Store a page and move the cursor, in one transaction."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = _rows(self._client.provider, page.items)
            await connection.execute(_SQL["keep"], *self._key[:2], *rows)
            await connection.execute(_SQL["advance"], *self._key, page.after, *window)
            if page.after is None:
                await connection.execute(_SQL["finish"], *self._key)

    async def _cursor(self) -> _Cursor:
        row = await self._pool.fetchrow(_SQL["cursor"], *self._key)
        if row is None:
            return _Cursor(None, None, None)
        window = Window(row["window_from"], row["window_to"])
        return _Cursor(row["position"], window, row["complete_to"])


def _rows(provider: str, events: Sequence[Listed]) -> list[list[object]]:
    """The columns of the events, in the order of the query `keep`."""
    rows = [
        (
            each.envelope.event_id,
            each.envelope.event_type,
            each.livemode,
            is_modelled(provider, each),
            each.created_at,
            each.api_version,
            each.pending_webhooks,
            each.envelope.identity_sha256 or sha256(each.body).hexdigest(),
        )
        for each in events
    ]
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(8)]


def is_modelled(provider: str, event: Listed) -> bool:
    """Whether this version of the code makes a payment event or a dead letter of an event.

    No table stores unmodelled events, so nobody can say later whether one was received.
    """
    raw = RawEvent(
        provider,
        Coordinates("inventory", 0, 0),
        event.body,
        event.envelope.event_id,
        "",
        datetime.fromtimestamp(0, UTC),
        "listed",
        None,
        event.envelope.event_type,
        event.envelope.identity_sha256,
    )
    try:
        return not isinstance(providers()[provider].normalize(raw, JUDGE), Unmodelled)
    except Exception:  # noqa: BLE001 - the normalizer makes a dead letter of its own defect
        return True


async def _balance(client: ApiClient) -> bytes:
    """The balance of the key's account, which tells the mode of all that the key can read."""
    try:
        return await client.get(client.books.balance(), PLATFORM)
    except RefusedError as refusal:
        raise UserError(f"The API refused to read the balance ({refusal.status}).", 1) from None


def _read(client: ApiClient, answer: Answered | Unparseable) -> Answered:
    """The answer.

    Raises:
        UserError: it can't be read.
    """
    if isinstance(answer, Unparseable):
        raise UserError(
            f"The API of {client.provider} gave an unreadable answer: {answer.reason}.", 1
        )
    return answer
