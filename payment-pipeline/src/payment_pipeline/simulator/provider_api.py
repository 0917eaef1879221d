"""A stand-in of Stripe's API over the simulated world: the same events as the webhooks.

`SimulatedApi` answers requests. It has Stripe's paging, its limits, its horizon of 30 days, its 429
answers, and its accounts. An event is listed in another API version than its webhook where the
shape allows that. Sources: docs.stripe.com/api/events/list, /api/pagination, /rate-limits.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Final, NamedTuple

import orjson

from payment_pipeline.known_secrets import KnownSecrets

from .random_source import Dice
from .renderings import for_api
from .shapes import Json
from .world import DAY_S, Event

HORIZON_S: Final = 30 * DAY_S
PAGE_DEFAULT: Final = 10
PAGE_MAX: Final = 100
REQUESTS_PER_S_MAX: Final = 25
"""Stripe's limit in a sandbox."""
RETRY_AFTER_S: Final = 1

_PLATFORM: Final = ""
_PAGING: Final = frozenset({"limit", "starting_after", "ending_before"})
_EVENT_FILTERS: Final = frozenset({"created[gte]", "created[gt]", "created[lte]", "created[lt]"})


class Reply(NamedTuple):
    """An answer of the API."""

    status: int
    body: Json
    headers: Mapping[str, str] = {}


class _Kept(NamedTuple):
    event_id: str
    created: int
    event: Event


@dataclass(frozen=True, slots=True)
class ApiFaults:
    """How often the API fails: shares of the requests, from 0 to 1."""

    throttled: float = 0.0
    """Answers 429 besides those of the rate limit."""
    broken: float = 0.0
    """Answers 500."""


@dataclass(slots=True)
class SimulatedApi:
    """The API of one platform and its connected accounts."""

    key: str
    livemode: bool = False
    faults: ApiFaults = field(default_factory=ApiFaults)
    dice: Dice = field(default_factory=lambda: Dice("api"))
    now_s: Callable[[], float] = time
    clock_s: Callable[[], float] = monotonic
    requests: int = 0
    requests_per_s_max: int = REQUESTS_PER_S_MAX
    _events: dict[str, list[_Kept]] = field(default_factory=dict)
    """Each account's events, in the order of creation."""
    _recent: deque[float] = field(default_factory=deque)

    def add(self, events: Iterable[Event]) -> None:
        """Add events, in the order of creation."""
        for event in events:
            kept = _Kept(event.event_id, event.created, event)
            self._events.setdefault(_account(event), []).append(kept)

    def reply(self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        """Answer a GET request."""
        self.requests += 1
        if failed := self._failed():
            return failed
        if headers.get("Authorization", "") not in KnownSecrets([f"Bearer {self.key}"]):
            return _error(401, "Invalid API Key provided")
        account = headers.get("Stripe-Account", _PLATFORM)
        if account not in {*self._events, _PLATFORM}:
            return _error(403, "The provided key does not have access to this account")
        if path == "/v1/balance":
            return Reply(200, {"object": "balance", "livemode": self.livemode})
        if path == "/v1/accounts":
            ids = sorted((each for each in self._events if each != _PLATFORM), reverse=True)
            entries = {each: {"id": each, "object": "account"} for each in ids}
            return _page(path, parameters, entries, _PAGING)
        if path == "/v1/events":
            return self._list_events(account, parameters)
        if path.startswith("/v1/events/"):
            return self._one_event(account, path.removeprefix("/v1/events/"))
        return _error(404, f"Unrecognized request URL (GET: {path})")

    def _failed(self) -> Reply | None:
        now = self.clock_s()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        self._recent.append(now)
        throttled = len(self._recent) > self.requests_per_s_max
        if throttled or self.dice.chance(self.faults.throttled):
            return _error(429, "Too many requests", {"Retry-After": str(RETRY_AFTER_S)})
        if self.dice.chance(self.faults.broken):
            return _error(500, "An unknown error occurred")
        return None

    def _list_events(self, account: str, parameters: Mapping[str, str]) -> Reply:
        unknown = parameters.keys() - _PAGING - _EVENT_FILTERS
        if unknown:
            return _error(400, f"Received unknown parameter: {min(unknown)}")
        at_least, at_most = self.now_s() - HORIZON_S, float("inf")
        for name in parameters.keys() & _EVENT_FILTERS:
            if not parameters[name].isdecimal():
                return _error(400, f"Invalid integer: {name}")
            bound = int(parameters[name])
            if name.startswith("created[g"):
                at_least = max(at_least, bound + (name == "created[gt]"))
            else:
                at_most = min(at_most, bound - (name == "created[lt]"))
        kept = reversed(self._events.get(account, []))
        entries = {
            each.event_id: each.event for each in kept if at_least <= each.created <= at_most
        }
        return _page("/v1/events", parameters, entries, _PAGING | _EVENT_FILTERS)

    def _one_event(self, account: str, event_id: str) -> Reply:
        oldest = self.now_s() - HORIZON_S
        for each in self._events.get(account, []):
            if each.event_id == event_id and each.created >= oldest:
                return Reply(200, orjson.loads(for_api(each.event)))
        return _error(404, f"No such event: {event_id}")


def _account(event: Event) -> str:
    envelope = orjson.loads(event.body)
    context: str = envelope.get("context") or ""
    account: str = envelope.get("account") or context.rpartition("/")[2]
    return account


def _page(
    path: str,
    parameters: Mapping[str, str],
    entries: Mapping[str, Json | Event],
    allowed: frozenset[str],
) -> Reply:
    """A page of entries, which are in the order of the list, by their ids."""
    if unknown := parameters.keys() - allowed:
        return _error(400, f"Received unknown parameter: {min(unknown)}")
    limit = parameters.get("limit", str(PAGE_DEFAULT))
    if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_MAX:
        return _error(400, f"Invalid limit: it must be between 1 and {PAGE_MAX}")
    ids = list(entries)
    cursor = parameters.get("starting_after") or parameters.get("ending_before")
    if cursor is not None and cursor not in entries:
        return _error(400, f"No such object: {cursor}")
    if "ending_before" in parameters:
        before = ids[: ids.index(parameters["ending_before"])]
        shown, more = before[-int(limit) :], len(before) > int(limit)
    else:
        after = ids[ids.index(cursor) + 1 :] if cursor else ids
        shown, more = after[: int(limit)], len(after) > int(limit)
    found = [entries[each] for each in shown]
    data = [orjson.loads(for_api(each)) if isinstance(each, Event) else each for each in found]
    return Reply(200, {"object": "list", "url": path, "has_more": more, "data": data})


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, {"error": {"message": message}}, headers or {})
