"""Stripe's own books: the requests to its API, and what the answers mean.

Sources: docs.stripe.com/api/events/list (30 days, at most 100 events a page, newest first, each
event in the API version of its creation), docs.stripe.com/api/pagination (`starting_after`,
`has_more`), docs.stripe.com/rate-limits (100 requests a second in live mode, 25 in a sandbox) and
docs.stripe.com/connect/authentication (`Stripe-Account`).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import orjson

from payment_pipeline.providers import Envelope, Unparseable
from payment_pipeline.providers.provider_books import (
    PLATFORM,
    Ask,
    Books,
    Listed,
    Page,
    Window,
)

from . import envelope
from .object_ids import is_plain

API_VERSION: Final = "2026-06-24.dahlia"
"""The version of lists and balances. It does not change the version of a listed event."""
VERSION: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
PAGE: Final = "100"
"""The largest page that Stripe serves."""


class StripeBooks:
    """Stripe's books. `provider_books.Books` describes the methods."""

    url = "https://api.stripe.com"
    horizon = timedelta(days=30)
    requests_per_s = 5.0
    rights = "Events: read, Balance: read, and Connected accounts: read for a platform"

    def headers(self, key: str, account: str) -> Mapping[str, str]:
        """The key, the version, and the connected account."""
        asked = {"Authorization": f"Bearer {key}", "Stripe-Version": API_VERSION}
        return asked if account == PLATFORM else {**asked, "Stripe-Account": account}

    def balance(self) -> Ask:
        """The balance of an account."""
        return Ask("/v1/balance")

    def read_mode(self, answer: bytes) -> bool | Unparseable:
        """The field `livemode` of the balance."""
        found = _object(answer)
        mode = found.get("livemode") if found else None
        return mode if isinstance(mode, bool) else Unparseable("the balance has no mode")

    def accounts(self, after: str | None) -> Ask:
        """A page of the connected accounts. An account without Connect has none."""
        return Ask("/v1/accounts", _paged(after))

    def read_accounts(self, answer: bytes) -> Page[str] | Unparseable:
        """The ids of the accounts."""
        listed = _listed(answer)
        if isinstance(listed, Unparseable):
            return listed
        accounts, more = listed
        ids = [each["id"] for each in accounts if is_plain(each.get("id"))]
        if len(ids) < len(accounts):
            return Unparseable("an account has no id")
        return Page(tuple(ids), ids[-1] if more else None)

    def events(self, window: Window, after: str | None) -> Ask:
        """A page of events, without a filter: an unknown type must be listed too."""
        since, until = (str(int(each.timestamp())) for each in window)
        return Ask("/v1/events", (("created[gte]", since), ("created[lte]", until), *_paged(after)))

    def read_events(self, answer: bytes, account: str) -> Page[Listed] | Unparseable:
        """The events of a page."""
        listed = _listed(answer)
        if isinstance(listed, Unparseable):
            return listed
        read = []
        for each in listed[0]:
            event = _event(each, account)
            if isinstance(event, Unparseable):
                return event
            read.append(event)
        return Page(tuple(read), read[-1].envelope.event_id if listed[1] else None)

    def event(self, event_id: str) -> Ask:
        """One event."""
        return Ask(f"/v1/events/{quote(event_id, safe='')}")

    def read_event(self, answer: bytes, account: str) -> Listed | Unparseable:
        """One event."""
        found = _object(answer)
        return _event(found, account) if found else Unparseable("the answer is no JSON object")


def _paged(after: str | None) -> tuple[tuple[str, str], ...]:
    return (("limit", PAGE), *((("starting_after", after),) if after else ()))


def _object(answer: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _listed(answer: bytes) -> tuple[list[dict[str, Any]], bool] | Unparseable:
    """The objects of a page, and whether more follow."""
    found = _object(answer) or {}
    data, more = found.get("data"), found.get("has_more")
    if not isinstance(data, list) or not isinstance(more, bool):
        return Unparseable("the answer is no list")
    if not all(isinstance(each, dict) for each in data):
        return Unparseable("the list has an entry that is no object")
    if more and not data:
        return Unparseable("a page is empty although more follow")
    return data, more


def _event(found: dict[str, Any], account: str) -> Listed | Unparseable:
    """The event. A list of one account need not name the account in each event, as webhooks do."""
    if account != PLATFORM and not found.get("account") and not found.get("context"):
        found = {**found, "account": account}
    body = orjson.dumps(found)
    read = envelope.read(body)
    if not isinstance(read, Envelope):
        return Unparseable("an event of the list can't be read")
    version, pending = found.get("api_version"), found.get("pending_webhooks")
    return Listed(
        envelope=read,
        created_at=datetime.fromtimestamp(found["created"], UTC),
        api_version=version if isinstance(version, str) and VERSION.fullmatch(version) else None,
        livemode=found.get("livemode") is True,
        pending_webhooks=pending if type(pending) is int else 0,
        body=body,
    )


BOOKS: Final[Books] = StripeBooks()
