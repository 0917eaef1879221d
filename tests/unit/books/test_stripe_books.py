"""Stripe's answers are read as its reference describes them, and nothing else is."""

from datetime import UTC, datetime

import orjson
import pytest

from payment_pipeline.providers import Unparseable
from payment_pipeline.providers.provider_books import PLATFORM, Ask, Page, Window, books

STRIPE = books()["stripe"]
EVENT = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2024-06-20",
    "created": 1_780_000_000,
    "data": {"object": {"id": "ch_1", "object": "charge", "amount": 5, "currency": "usd"}},
    "livemode": True,
    "pending_webhooks": 2,
    "type": "charge.succeeded",
}


def listed(*data: object, more: object = False) -> bytes:
    return orjson.dumps({"object": "list", "data": data, "has_more": more})


def test_a_request_names_the_window_the_page_and_the_account() -> None:
    window = Window(datetime.fromtimestamp(10, UTC), datetime.fromtimestamp(20, UTC))
    assert STRIPE.events(window, "evt_9") == Ask(
        "/v1/events",
        (
            ("created[gte]", "10"),
            ("created[lte]", "20"),
            ("limit", "100"),
            ("starting_after", "evt_9"),
        ),
    )
    assert "Stripe-Account" not in STRIPE.headers("rk", PLATFORM)
    assert STRIPE.headers("rk", "acct_1")["Stripe-Account"] == "acct_1"
    assert STRIPE.event("evt/../1").path == "/v1/events/evt%2F..%2F1"


def test_an_event_is_read_with_its_identity() -> None:
    page = STRIPE.read_events(listed(EVENT, more=True), PLATFORM)
    assert isinstance(page, Page)
    [event] = page.items
    assert (event.envelope.event_id, event.api_version, event.livemode) == (
        "evt_1",
        "2024-06-20",
        True,
    )
    assert (event.pending_webhooks, page.after) == (2, "evt_1")
    assert orjson.loads(event.body) == EVENT


def test_the_event_of_a_connected_account_names_it_as_its_webhook_does() -> None:
    webhook = STRIPE.read_events(listed(EVENT | {"account": "acct_1"}), PLATFORM)
    asked = STRIPE.read_events(listed(EVENT), "acct_1")
    assert isinstance(webhook, Page)
    assert isinstance(asked, Page)
    assert asked.items[0].envelope == webhook.items[0].envelope
    organization = STRIPE.read_events(listed(EVENT | {"context": "org_1/acct_1"}), "acct_1")
    assert isinstance(organization, Page)
    assert b'"account"' not in organization.items[0].body


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data": 1, "has_more": false}',
        listed(EVENT, more="yes"),
        listed(more=True),
        listed(1),
        listed(EVENT | {"id": None}),
        listed(EVENT | {"created": "today"}),
    ],
)
def test_anything_else_is_unreadable(answer: bytes) -> None:
    assert isinstance(STRIPE.read_events(answer, PLATFORM), Unparseable)


@pytest.mark.parametrize(
    ("answer", "mode"), [(b'{"livemode":true}', True), (b'{"livemode":false}', False)]
)
def test_the_balance_tells_the_mode_of_the_key(answer: bytes, mode: bool) -> None:
    assert STRIPE.read_mode(answer) is mode
    assert isinstance(STRIPE.read_mode(b'{"livemode":"no"}'), Unparseable)


def test_accounts_are_read_by_their_ids() -> None:
    found = STRIPE.read_accounts(listed({"id": "acct_2"}, {"id": "acct_1"}, more=True))
    assert found == Page(("acct_2", "acct_1"), "acct_1")
    assert isinstance(STRIPE.read_accounts(listed({"id": "a b"})), Unparseable)
