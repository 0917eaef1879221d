"""What goes wrong between Stripe and the gateway, and what should become of it?

Faults come on top of the genuine events: a share P of the events is sent twice, has a forged twin,
and so on, so a run of N events always delivers N genuine ones. What a fault does is drawn from
dice of its own: the genuine events are the same with and without faults.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final, NamedTuple

import orjson

from payment_pipeline.domain.failures import FailureClass

from .malformed import MALFORMATIONS
from .random_source import Dice
from .signing import Forgery
from .world import Event

UNMODELLED_TYPES: Final = frozenset(
    ("balance.available", "checkout.session.completed", "payment_method.attached")
)
"""Genuine event types of this traffic that no model covers."""

DUPLICATE_WITHIN: Final = 500
"""A duplicate follows its original by at most so many events."""
ALTERED_AFTER: Final = 200
"""An altered body follows its original by at least so many events, where that many follow."""

_AMOUNT_ADDED: Final = 1000
"""A multiple of every currency's step, so that an altered amount is one that could be true."""
_WITH_AMOUNT: Final = ("charge.", "payment_intent.", "payout.", "refund.")
_WITHOUT_AMOUNT: Final = ("charge.dispute.",)
_ACCEPTED: Final = frozenset((200,))
_REFUSED: Final = frozenset((400, 401))


class Fault(StrEnum):
    """Why a delivery is not a plain one."""

    DUPLICATE = "duplicate"
    """The same bytes once more."""
    LATE = "late"
    """Delivered after all the others."""
    MALFORMED = "malformed"
    """Signed as it should be, and no valid event."""
    BAD_SIGNATURE = "bad_signature"
    """A good event that Stripe didn't sign, or not now."""
    ALTERED = "altered"
    """An earlier event's id on another body, signed as it should be."""


class Place(StrEnum):
    """Where a delivery should end."""

    EVENTS = "payment_events"
    QUARANTINE = "payment_events_quarantine"
    UNMODELLED = "payments.unmodelled"
    NOWHERE = "nowhere"
    """Refused at the door: stored in no place."""


class Delivery(NamedTuple):
    """One body to deliver, and what should become of it."""

    body: bytes
    event_id: str | None
    """`None` where no event can be read from the body."""
    event_type: str
    """Of the genuine event that it is, or was made from."""
    created: int
    fault: Fault | None
    detail: str | None
    """Which malformation or forgery."""
    forgery: Forgery | None
    answers: frozenset[int]
    """HTTP statuses, any of which is right."""
    place: Place
    """For an altered body: it or its original, whichever comes second, ends in quarantine."""
    failure: FailureClass | None
    """The class it is in quarantine for."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How much goes wrong: shares of the genuine events, 0 to 1."""

    duplicates: float = 0.0
    late: float = 0.0
    malformed: float = 0.0
    bad_signature: float = 0.0
    altered: float = 0.0
    shuffle: bool = False
    """Deliver everything in random order; an altered body still follows its original."""


def delivered(events: Iterator[Event], faults: Faults, dice: Dice) -> Iterator[Delivery]:
    """The deliveries of these events in the order of sending."""
    placed = _placed(events, faults, dice)
    if faults.shuffle:
        for _, _, delivery in sorted(placed, key=lambda each: each[:2]):
            yield delivery
        return
    waiting: list[tuple[float, int, Delivery]] = []
    for at, order, delivery in placed:
        if delivery.fault is None:
            yield delivery
            while waiting and waiting[0][0] <= at:
                yield heappop(waiting)[2]
        else:
            heappush(waiting, (at, order, delivery))
    while waiting:
        yield heappop(waiting)[2]


def _placed(
    events: Iterator[Event], faults: Faults, dice: Dice
) -> Iterator[tuple[float, int, Delivery]]:
    """Each delivery with its place in the order of sending; the number in the middle breaks ties.

    In true order a place is an index; shuffled, a point in [0, 1). What is late comes after all.
    """
    order = 0
    model: Event | None = None
    for index, event in enumerate(events):
        late = dice.chance(faults.late)
        at = dice.random() if faults.shuffle else float(index)
        last = 1.0 if faults.shuffle else float("inf")
        extras: list[tuple[float, Delivery]] = []
        if _has_amount(event):
            model = event
        if dice.chance(faults.duplicates):
            twin_at = dice.random() if faults.shuffle else at + dice.uniform(1, DUPLICATE_WITHIN)
            extras.append((twin_at, genuine(event, Fault.DUPLICATE)))
        if dice.chance(faults.altered) and not late and _has_amount(event):
            after = dice.uniform(at, 1.0) if faults.shuffle else at + ALTERED_AFTER
            extras.append((after, _altered(event)))
        if dice.chance(faults.malformed) and model is not None:
            extras.append((at, _malformed(model, dice)))
        if dice.chance(faults.bad_signature):
            extras.append((at, _forged(event, dice)))
        first = genuine(event, Fault.LATE if late else None)
        for place, delivery in [(last if late else at, first), *extras]:
            order += 1
            yield place, order, delivery


def genuine(event: Event, fault: Fault | None = None) -> Delivery:
    """An event as Stripe would deliver it."""
    modelled = event.type not in UNMODELLED_TYPES
    return Delivery(
        body=event.body,
        event_id=event.event_id,
        event_type=event.type,
        created=event.created,
        fault=fault,
        detail=None,
        forgery=None,
        answers=_ACCEPTED,
        place=Place.EVENTS if modelled else Place.UNMODELLED,
        failure=None,
    )


def _has_amount(event: Event) -> bool:
    return event.type.startswith(_WITH_AMOUNT) and not event.type.startswith(_WITHOUT_AMOUNT)


def _altered(event: Event) -> Delivery:
    parsed = orjson.loads(event.body)
    parsed["data"]["object"]["amount"] += _AMOUNT_ADDED
    return genuine(event, Fault.ALTERED)._replace(
        body=orjson.dumps(parsed),
        place=Place.QUARANTINE,
        failure=FailureClass.CONFLICTING_BODY,
    )


def _malformed(event: Event, dice: Dice) -> Delivery:
    event_id, parsed = dice.id("evt"), orjson.loads(event.body)
    parsed["id"] = event_id
    malformation = dice.choice(MALFORMATIONS)
    return genuine(event, Fault.MALFORMED)._replace(
        body=malformation.spoil(parsed),
        event_id=None if malformation.failure is FailureClass.UNPARSEABLE else event_id,
        detail=malformation.name,
        place=Place.QUARANTINE,
        failure=malformation.failure,
    )


def _forged(event: Event, dice: Dice) -> Delivery:
    """Another id than the genuine event's: if it is ever stored, it can be told apart."""
    event_id = dice.id("evt")
    forgery = dice.choice(tuple(Forgery))
    return genuine(event, Fault.BAD_SIGNATURE)._replace(
        body=event.body.replace(event.event_id.encode(), event_id.encode(), 1),
        event_id=event_id,
        detail=forgery.value,
        forgery=forgery,
        answers=_REFUSED,
        place=Place.NOWHERE,
    )
