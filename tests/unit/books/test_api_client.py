"""The API client keeps its budget, obeys Retry-After, and never sends the key in clear text."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from payment_pipeline.books.api_client import (
    TRIES_MAX,
    ApiClient,
    Budget,
    RefusedError,
    api_key,
    api_url,
    pause_s,
)
from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers.provider_books import PLATFORM, Ask, books
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.api_server import serving
from payment_pipeline.simulator.provider_api import Reply, SimulatedApi

SettingsOf = Callable[..., Settings]
KEY = "rk_test_0123456789abcdef"
STRIPE = books()["stripe"]


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Scripted(SimulatedApi):
    """An API that gives these answers, then 200."""

    script: list[Reply]

    def reply(self, *_asked: object) -> Reply:
        self.requests += 1
        return self.script.pop(0) if self.script else Reply(200, {"livemode": False})


@asynccontextmanager
async def scripted(*script: Reply) -> AsyncIterator[tuple[ApiClient, Scripted, Clock]]:
    api, clock = Scripted(KEY), Clock()
    api.script = list(script)
    async with serving(api, "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:
        yield ApiClient("stripe", STRIPE, KEY, url, session, clock.sleep), api, clock


async def test_a_budget_spreads_the_requests_evenly() -> None:
    clock = Clock()
    budget = Budget(5, clock.read, clock.sleep)
    at = []
    for _ in range(11):
        await budget.take()
        at.append(clock.now - 100.0)
    assert at == pytest.approx([number / 5 for number in range(11)])


async def test_an_unused_budget_does_not_become_a_burst() -> None:
    clock = Clock()
    budget = Budget(5, clock.read, clock.sleep)
    clock.now += 60
    await budget.take()
    await budget.take()
    assert clock.slept[-1] == pytest.approx(0.2)


@pytest.mark.parametrize("attempt", range(TRIES_MAX))
def test_a_pause_is_what_the_api_asked_for_or_random_and_bounded(attempt: int) -> None:
    assert pause_s(attempt, 7) == 7
    assert pause_s(attempt, 86_400) == 60
    drawn = {pause_s(attempt, None) for _ in range(50)}
    assert len(drawn) > 1
    assert 0 <= min(drawn) <= max(drawn) <= min(0.5 * 2**attempt, 60)


async def test_a_throttled_request_waits_as_long_as_it_was_told() -> None:
    slow = Reply(429, {}, {"Retry-After": "7"})
    async with scripted(slow, Reply(500, {}), slow) as (client, api, clock):
        assert await client.get(STRIPE.balance(), PLATFORM) == b'{"livemode":false}'
        assert api.requests == client.requests == 4
        assert clock.slept.count(7) == 2


async def test_an_api_that_never_answers_is_given_up_with_a_sentence() -> None:
    async with scripted(*[Reply(503, {})] * TRIES_MAX) as (client, api, _):
        with pytest.raises(
            UserError, match=r"no answer in 8 tries, at last status 503"
        ) as given_up:
            await client.get(STRIPE.balance(), PLATFORM)
        assert api.requests == TRIES_MAX
        assert given_up.value.exit_code == 1
        assert KEY not in str(given_up.value)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_the_rights_and_not_the_key(status: int) -> None:
    async with scripted(Reply(status, {})) as (client, api, _):
        with pytest.raises(UserError, match="Events: read") as refused:
            await client.get(STRIPE.balance(), PLATFORM)
        assert api.requests == 1
        assert KEY not in str(refused.value)


@pytest.mark.parametrize("status", [400, 404])
async def test_a_refused_request_is_not_repeated(status: int) -> None:
    async with scripted(Reply(status, {})) as (client, api, _):
        with pytest.raises(RefusedError):
            await client.get(Ask("/v1/events/evt_1"), PLATFORM)
        assert api.requests == 1


async def test_a_redirect_does_not_carry_the_key_away() -> None:
    away = Reply(302, {}, {"Location": "http://127.0.0.1:9/"})
    async with scripted(away) as (client, api, _):
        with pytest.raises(UserError, match="answered 302"):
            await client.get(STRIPE.balance(), PLATFORM)
        assert api.requests == 1


def test_the_key_goes_to_another_machine_over_tls_only(isolated: SettingsOf) -> None:
    for url in ("http://127.0.0.1:8420", "http://localhost:1", "https://api.example"):
        assert api_url(isolated(api_url_stripe=url), "stripe", STRIPE) == url
    assert api_url(isolated(), "stripe", STRIPE) == "https://api.stripe.com"
    with pytest.raises(UserError, match="must be https"):
        api_url(isolated(api_url_stripe="http://api.example"), "stripe", STRIPE)


def test_a_missing_key_is_said_with_the_rights_that_it_needs(isolated: SettingsOf) -> None:
    assert api_key(isolated(api_key_stripe=KEY), "stripe", STRIPE) == KEY
    with pytest.raises(UserError, match=r"PAYMENTS_API_KEY_STRIPE.*Events: read"):
        api_key(isolated(), "stripe", STRIPE)
