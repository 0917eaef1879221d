"""A client of a provider's API: GET requests within a budget, repeated when the API asks for it.

The key is sent in a header only. No message of this module has a part of it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers.provider_books import Ask, Books
from payment_pipeline.settings import MissingSecretError, Settings, variable

TRIES_MAX: Final = 8
FIRST_PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 60.0
"""The longest pause between two tries, also if the API asks for a longer one."""
TIMEOUT_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""A hundred events of the largest size have less."""

Sleep = Callable[[float], Awaitable[None]]


class Budget:
    """A token bucket: at most `per_s` requests a second, and no burst."""

    def __init__(
        self, per_s: float, now: Callable[[], float] = monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._every_s = 1 / per_s
        self._now, self._sleep = now, sleep
        self._next_at = now()

    async def take(self) -> None:
        """Wait until the next request may be sent."""
        at = max(self._next_at, self._now())
        self._next_at = at + self._every_s
        await self._sleep(max(0.0, at - self._now()))


class Answer(NamedTuple):
    """The answer of the API."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class RefusedError(Exception):
    """The API refused a request for good: 404 an object that it lacks, 400 a parameter."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the API answered {status}")
        self.status = status


class ApiClient:
    """Sends the requests of one key. Open it with `connected`."""

    def __init__(
        self,
        provider: str,
        books: Books,
        key: str,
        url: str,
        session: aiohttp.ClientSession,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.provider, self.books = provider, books
        self.requests = 0
        """How many requests were sent, repeated ones included."""
        self._key, self._url, self._session, self._sleep = key, url, session, sleep
        self._budget = Budget(books.requests_per_s, sleep=sleep)

    async def get(self, ask: Ask, account: str) -> bytes:
        """Send a request until the API answers it.

        Raises:
            RefusedError: the API answered 400 or 404.
            UserError: the key is wrong or lacks a right, or the API gave no answer in all tries.
        """
        said = ""
        for attempt in range(TRIES_MAX):
            await self._budget.take()
            self.requests += 1
            asked_s = None
            try:
                answer = await self._send(ask, account)
            except (aiohttp.ClientError, TimeoutError, OSError) as failure:
                said = type(failure).__name__
            else:
                if answer.status == 200:
                    return answer.body
                self._refuse(answer.status, ask, account)
                said, asked_s = f"status {answer.status}", answer.retry_after_s
            if attempt + 1 < TRIES_MAX:
                await self._sleep(pause_s(attempt, asked_s))
        raise UserError(
            f"{self._url} gave no answer in {TRIES_MAX} tries, at last {said}. What was pulled is "
            "stored: repeat the command later, and it continues.",
            1,
        )

    async def _send(self, ask: Ask, account: str) -> Answer:
        async with self._session.get(
            f"{self._url}{ask.path}",
            params=ask.parameters,
            headers=self.books.headers(self._key, account),
            allow_redirects=False,  # a redirect would carry the key to another server
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise UserError(f"{self._url} answered with too many bytes.", 1)
            return Answer(response.status, bytes(body), _seconds(response.headers))

    def _refuse(self, status: int, ask: Ask, account: str) -> None:
        """Raise what can't be mended by another try."""
        if status in (401, 403):
            raise UserError(
                f"{self._url} refused the key for {ask.path} of the account {account} "
                f"({status}). A restricted key needs these rights: {self.books.rights}.",
                1,
            )
        if status in (400, 404):
            raise RefusedError(status)
        if status != 429 and status < 500:
            raise UserError(f"{self._url} answered {status} to {ask.path}.", 1)


def pause_s(attempt: int, asked_s: float | None) -> float:
    """The pause after a try: what the API asked for, or a random one that grows (full jitter)."""
    if asked_s is not None:
        return min(asked_s, PAUSE_S_MAX)
    longest_s = min(FIRST_PAUSE_S * 2**attempt, PAUSE_S_MAX)
    return random.uniform(0, longest_s)  # noqa: S311 - it spreads load, and protects nothing


def _seconds(headers: Mapping[str, str]) -> float | None:
    given = headers.get("Retry-After", "")
    return float(given) if given.isdecimal() and given.isascii() else None


@asynccontextmanager
async def connected(settings: Settings, provider: str, books: Books) -> AsyncIterator[ApiClient]:
    """Open a client with the key and the address of the settings.

    Raises:
        UserError: there is no key, or the address would send it without encryption.
    """
    key = api_key(settings, provider, books)
    url = api_url(settings, provider, books)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield ApiClient(provider, books, key, url, session)


def key_name(provider: str) -> str:
    """The name of the setting and of the file with a provider's API key."""
    return f"api_key_{provider}"


def api_key(settings: Settings, provider: str, books: Books) -> str:
    """The API key of a provider.

    Raises:
        UserError: there is none.
    """
    name = key_name(provider)
    try:
        return settings.secret(name)
    except MissingSecretError:
        raise UserError(
            f"There is no API key of {provider}. Set {variable(name)}, or write it to "
            f"{settings.secrets_dir / name}. A restricted key needs these rights: {books.rights}."
        ) from None


def api_url(settings: Settings, provider: str, books: Books) -> str:
    """The base URL of a provider's API.

    Raises:
        UserError: the key would be sent to another machine without encryption.
    """
    name = f"api_url_{provider}"
    url = str(getattr(settings, name, None) or books.url).rstrip("/")
    where = urlsplit(url)
    if where.scheme != "https" and not _is_loopback(where.hostname or ""):
        raise UserError(f"{variable(name)} must be https: the key would be sent as plain text.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
