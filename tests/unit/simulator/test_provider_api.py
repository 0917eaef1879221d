"""The stand-in of Stripe's API has the limits of the real one, and the events of the webhooks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from payment_pipeline.providers import Envelope, providers
from payment_pipeline.simulator.faults import Faults
from payment_pipeline.simulator.provider_api import (
    HORIZON_S,
    REQUESTS_PER_S_MAX,
    ApiFaults,
    Reply,
    SimulatedApi,
)
from payment_pipeline.simulator.traffic import Period, deliveries, events

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
PERIOD = Period(UNTIL, days=40)
KEY = "rk_test_0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {KEY}"}
WORLD = list(events(3, 1500, PERIOD))
STRIPE = providers()["stripe"]


def clock() -> Iterator[float]:
    at = 0.0
    while True:
        yield at
        at += 1.0


@pytest.fixture
def api() -> SimulatedApi:
    ticks = clock()
    made = SimulatedApi(KEY, now_s=UNTIL.timestamp, clock_s=lambda: next(ticks))
    made.add(WORLD)
    return made


def ask(api: SimulatedApi, account: str = "", **parameters: str) -> Reply:
    headers = HEADERS | ({"Stripe-Account": account} if account else {})
    return api.reply("/v1/events", parameters, headers)


def walk(api: SimulatedApi, account: str = "") -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    after: dict[str, str] = {}
    while True:
        page = ask(api, account, limit="100", **after).body
        found += page["data"]
        if not page["has_more"]:
            return found
        assert len(page["data"]) == 100
        after = {"starting_after": page["data"][-1]["id"]}


def accounts(api: SimulatedApi) -> list[str]:
    return [
        each["id"] for each in api.reply("/v1/accounts", {"limit": "100"}, HEADERS).body["data"]
    ]


def test_every_event_of_the_horizon_is_listed_once_newest_first(api: SimulatedApi) -> None:
    listed = []
    for account in ["", *accounts(api)]:
        found = walk(api, account)
        created = [each["created"] for each in found]
        assert created == sorted(created, reverse=True)  # type: ignore[type-var]
        listed += [each["id"] for each in found]
    oldest = UNTIL.timestamp() - HORIZON_S
    recent = {event.event_id for event in WORLD if event.created >= oldest}
    assert len(recent) < len(WORLD)
    assert sorted(listed) == sorted(recent)  # type: ignore[type-var]


def test_a_listed_event_is_the_event_of_the_webhook_in_another_version(api: SimulatedApi) -> None:
    bodies = {event.event_id: event.body for event in WORLD}
    others = 0
    for account in ["", *accounts(api)]:
        for each in walk(api, account):
            body = bodies[str(each["id"])]
            others += each["api_version"] != orjson.loads(body)["api_version"]
            assert "account" not in each
            named = each if not account or "context" in each else each | {"account": account}
            listed, received = STRIPE.read(orjson.dumps(named)), STRIPE.read(body)
            assert isinstance(listed, Envelope)
            assert isinstance(received, Envelope)
            assert listed.identity_sha256 == received.identity_sha256
    assert others > 100


def test_an_account_sees_its_own_events_alone(api: SimulatedApi) -> None:
    assert len(accounts(api)) > 3
    with_account = {orjson.loads(e.body).get("account"): e.event_id for e in WORLD}
    [first, *_] = [each for each in with_account if each]
    assert with_account[first] not in {each["id"] for each in walk(api)}
    assert ask(api, "acct_1Nobody").status == 403


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"limit": "100"}, 200),
        ({"limit": "101"}, 400),
        ({"limit": "0"}, 400),
        ({"limit": "x"}, 400),
        ({"starting_after": "evt_nothing"}, 400),
        ({"created[gte]": "yesterday"}, 400),
        ({"colour": "red"}, 400),
    ],
)
def test_wrong_parameters_are_refused(
    api: SimulatedApi, parameters: dict[str, str], status: int
) -> None:
    assert ask(api, **parameters).status == status


def test_pages_go_backwards_too(api: SimulatedApi) -> None:
    ids = [each["id"] for each in walk(api)]
    page = ask(api, limit="10", ending_before=str(ids[20])).body
    assert [each["id"] for each in page["data"]] == ids[10:20]
    assert page["has_more"]
    assert len(ask(api).body["data"]) == 10


def test_the_window_has_both_ends(api: SimulatedApi) -> None:
    since = int((UNTIL - timedelta(days=3)).timestamp())
    until = int((UNTIL - timedelta(days=2)).timestamp())
    bounds = {"created[gte]": str(since), "created[lte]": str(until)}
    found = ask(api, limit="100", **bounds).body["data"]
    assert found
    assert all(since <= each["created"] <= until for each in found)


def test_an_event_beyond_the_horizon_is_gone(api: SimulatedApi) -> None:
    platform = [
        event
        for event in WORLD
        if "account" not in (e := orjson.loads(event.body)) and "context" not in e
    ]
    for event, status in ((platform[0], 404), (platform[-1], 200)):
        assert api.reply(f"/v1/events/{event.event_id}", {}, HEADERS).status == status


def test_a_wrong_key_and_a_fast_client_are_refused() -> None:
    api = SimulatedApi(KEY, clock_s=lambda: 0.0)
    wrong = api.reply("/v1/balance", {}, {"Authorization": "Bearer rk_test_other"})
    assert (wrong.status, api.reply("/v1/balance", {}, {}).status) == (401, 401)
    answers = [api.reply("/v1/balance", {}, HEADERS) for _ in range(REQUESTS_PER_S_MAX)]
    assert answers[0].status == 200
    assert (answers[-1].status, answers[-1].headers) == (429, {"Retry-After": "1"})


def test_a_storm_of_failures_is_seeded() -> None:
    ticks = clock()
    api = SimulatedApi(KEY, faults=ApiFaults(0.3, 0.2), clock_s=lambda: next(ticks))
    statuses = [api.reply("/v1/balance", {}, HEADERS).status for _ in range(300)]
    assert 60 < statuses.count(429) < 120
    assert 20 < statuses.count(500) < 80


def test_withheld_events_are_not_sent_and_the_others_are() -> None:
    sent = {d.event_id for d in deliveries(3, 1500, PERIOD, Faults(withheld=0.1, duplicates=0.1))}
    genuine = {event.event_id for event in WORLD}
    assert sent < genuine
    assert 80 < len(genuine - sent) < 220
