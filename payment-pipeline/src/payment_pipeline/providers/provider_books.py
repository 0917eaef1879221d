"""The protocol of a provider's own books: what can be pulled from its API, and how.

A provider with an API has a module `providers/<name>/books.py` with a `BOOKS`. The folder is the
registry. The module says which requests to send and what the answers mean. It sends nothing: the
package `payment_pipeline.books` does, with the limits of the provider's API.
"""

import pkgutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Generic, NamedTuple, Protocol, TypeVar

from . import Envelope, Unparseable, providers

Item = TypeVar("Item")

PLATFORM = "platform"
"""The account of the key itself. Every other account is one that is connected to it."""


class Window(NamedTuple):
    """Times of creation: `since` and `until` belong to the window."""

    since: datetime
    until: datetime


class Ask(NamedTuple):
    """A GET request to a provider's API."""

    path: str
    parameters: tuple[tuple[str, str], ...] = ()


class Listed(NamedTuple):
    """An event as the provider's API lists it."""

    envelope: Envelope
    created_at: datetime
    api_version: str | None
    livemode: bool
    pending_webhooks: int
    """How many endpoints have not acknowledged the event, when it was listed."""
    body: bytes
    """The event as JSON, in the API version of its creation. An endpoint may have another one."""


class Page(NamedTuple, Generic[Item]):
    """A page of a list."""

    items: tuple[Item, ...]
    after: str | None
    """The id after which the next page begins; `None` on the last page."""


class Books(Protocol):
    """What `providers/<name>/books.py` offers as `BOOKS`. Each method is pure and never raises."""

    url: str
    """The base URL of the API, without a slash at the end."""
    horizon: timedelta
    """How long the API lists an event after its creation."""
    requests_per_s: float
    """The budget of requests for each key. It leaves most of the provider's limit to others."""
    rights: str
    """The rights that a restricted key needs, for messages."""

    def headers(self, key: str, account: str) -> Mapping[str, str]:
        """The headers of a request about an account."""
        ...

    def balance(self) -> Ask:
        """The request for the balance, which tells the mode of the key."""
        ...

    def read_mode(self, answer: bytes) -> bool | Unparseable:
        """Whether the key is of live mode, from the answer to `balance`."""
        ...

    def accounts(self, after: str | None) -> Ask:
        """The request for a page of the connected accounts."""
        ...

    def read_accounts(self, answer: bytes) -> Page[str] | Unparseable:
        """The ids of the connected accounts."""
        ...

    def events(self, window: Window, after: str | None) -> Ask:
        """The request for a page of the events of every type, the newest first."""
        ...

    def read_events(self, answer: bytes, account: str) -> Page[Listed] | Unparseable:
        """The events of a page of this account."""
        ...

    def event(self, event_id: str) -> Ask:
        """The request for one event."""
        ...

    def read_event(self, answer: bytes, account: str) -> Listed | Unparseable:
        """One event of this account."""
        ...


@cache
def books() -> Mapping[str, Books]:
    """The books of each provider that has some, by the provider's name."""
    found = {}
    for module in pkgutil.iter_modules(import_module(__package__).__path__):
        name = f"{__package__}.{module.name}.books"
        if module.ispkg and module.name in providers() and find_spec(name):
            found[module.name] = import_module(name).BOOKS
    return found
