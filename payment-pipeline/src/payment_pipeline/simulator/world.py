"""Who is in the simulated world, what time is it there, and whose turn is next?

Life cycles are scripts: generators that emit events and yield how long they wait. The world keeps
them in one queue by time, so that events come out in true order over all customers and merchants.
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

Life: TypeAlias = Generator[float, None, None]
"""A life cycle: yields the seconds until it goes on."""
Outcome: TypeAlias = Generator[float, None, bool]
"""A part of a life cycle that ends in a yes or a no."""

DAY_S: Final = 86_400
HOUR_S: Final = 3_600


class Event(NamedTuple):
    """One of Stripe's events, as its webhook's body, and what the body says of itself."""

    event_id: str
    type: str
    created: int
    """Unix time in whole seconds, of simulated time."""
    body: bytes


@dataclass(slots=True)
class World:
    """The state of the simulated world: who is there, what time it is, what comes next."""

    dice: Dice
    now_s: float
    until_s: int
    livemode: bool
    merchants: list[Merchant]
    customers: list[Customer] = field(default_factory=list)
    stolen_cards: list[Card] = field(default_factory=list)
    """What a fraud ring has in hand: the same few cards, under many customers' names."""
    emitted: list[Event] = field(default_factory=list)
    """What nobody has taken yet."""
    emitted_count: int = 0
    _queue: list[tuple[float, int, Life]] = field(default_factory=list)
    _started: int = 0

    @property
    def now(self) -> int:
        """Simulated Unix time in whole seconds, as Stripe stamps it; never past `until_s`."""
        return min(int(self.now_s), self.until_s)

    def start(self, life: Life, delay_s: float = 0.0) -> None:
        """Let a life cycle begin after a while."""
        self._started += 1
        heappush(self._queue, (self.now_s + delay_s, self._started, life))

    def step(self) -> None:
        """Go to the next moment at which a life cycle goes on, and let it."""
        at, order, life = heappop(self._queue)
        self.now_s = at
        wait_s = next(life, None)
        if wait_s is not None:
            heappush(self._queue, (at + wait_s, order, life))

    def change(self, merchant: Merchant, event_type: str, thing: Json, changes: Json) -> Json:
        """Make the changed object, and emit it with what its fields were before."""
        before = {name: thing.get(name) for name in changes}
        after = {**thing, **changes}
        self.emit(merchant, event_type, after, before)
        return after

    def emit(
        self, merchant: Merchant, event_type: str, thing: Json, before: Json | None = None
    ) -> None:
        """Send an event about an object, shaped for the merchant's API version."""
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
            # Every object of an event says it, nested ones too: cheaper said once, here.
            body = body.replace(b'"livemode":false', b'"livemode":true')
        self.emitted_count += 1
        self.emitted.append(Event(event_id, event_type, created, body))
