"""The simulated world: its merchants and customers, its clock, and its queue of lifecycles.

A lifecycle is a generator: it emits events and yields the seconds to wait. The world keeps all
lifecycles in one queue, sorted by time. So events come out in chronological order over all
customers and merchants.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, NamedTuple, TypeAlias

import orjson

from .actors import Card, Customer, Merchant
from .random_source import Dice
from .shapes import Json
from .versions import shaped

Lifecycle: TypeAlias = Generator[float, None, None]
"""A lifecycle. It yields the seconds to wait before its next step."""
LifecyclePart: TypeAlias = Generator[float, None, bool]
"""A part of a lifecycle. It returns whether it succeeded."""

DAY_S: Final = 86_400
HOUR_S: Final = 3_600


class Event(NamedTuple):
    """One Stripe event: the webhook body, and the id, type and time that the body contains."""

    event_id: str
    type: str
    created: int
    """Simulated time, as a Unix time in whole seconds."""
    body: bytes
    thing: Json | None = None
    """The object with the fields of every API version, to render the event in another version."""
    before: Json | None = None
    """The previous values of the changed fields, likewise."""


@dataclass(slots=True)
class World:
    """The state of the simulated world."""

    dice: Dice
    now_s: float
    until_s: int
    livemode: bool
    merchants: list[Merchant]
    customers: list[Customer] = field(default_factory=list)
    stolen_cards: list[Card] = field(default_factory=list)
    """The few cards that a fraud ring uses under many customers' names."""
    emitted: list[Event] = field(default_factory=list)
    """Events that the caller has not taken yet."""
    emitted_count: int = 0
    _queue: list[tuple[float, int, Lifecycle]] = field(default_factory=list)
    _started: int = 0

    @property
    def now(self) -> int:
        """The simulated Unix time in whole seconds, at most `until_s`."""
        return min(int(self.now_s), self.until_s)

    def start(self, lifecycle: Lifecycle, delay_s: float = 0.0) -> None:
        """Start a lifecycle after `delay_s` seconds."""
        self._started += 1
        heappush(self._queue, (self.now_s + delay_s, self._started, lifecycle))

    def step(self) -> None:
        """Move the clock to the next due lifecycle, and run its next step."""
        at, order, lifecycle = heappop(self._queue)
        self.now_s = at
        wait_s = next(lifecycle, None)
        if wait_s is not None:
            heappush(self._queue, (at + wait_s, order, lifecycle))

    def change(self, merchant: Merchant, event_type: str, thing: Json, changes: Json) -> Json:
        """Return the changed object, and emit it with the previous values of the changed fields."""
        before = {name: thing.get(name) for name in changes}
        after = {**thing, **changes}
        self.emit(merchant, event_type, after, before)
        return after

    def emit(
        self, merchant: Merchant, event_type: str, thing: Json, before: Json | None = None
    ) -> None:
        """Emit an event about an object, in the shape of the merchant's API version."""
        version, kind, dice = merchant.api_version, thing["object"], self.dice
        data = {"object": shaped(kind, thing, version)}
        if before is not None:
            data["previous_attributes"] = shaped(kind, before, version)
        asked = event_type.endswith(".created") and dice.chance(0.8)
        event_id, created = dice.id("evt"), self.now
        envelope: Json = {
            "id": event_id,
            "object": "event",
            "api_version": version,
            "created": created,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {
                "id": f"req_{dice.text(14)}" if asked else None,
                "idempotency_key": dice.text(32).lower() if asked else None,
            },
            "type": event_type,
        }
        if merchant.account is not None:
            envelope["account"] = merchant.account
        body = orjson.dumps(envelope)
        if self.livemode:
            # Every nested object has the field `livemode`: one replacement in the text is cheaper.
            body = body.replace(b'"livemode":false', b'"livemode":true')
        self.emitted_count += 1
        self.emitted.append(Event(event_id, event_type, created, body, thing, before))
