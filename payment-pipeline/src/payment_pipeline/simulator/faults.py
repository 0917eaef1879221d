"""The faults between Stripe and the gateway, and the expected destination of each delivery.

Faults are added to the genuine events: a share P of the events is sent twice, gets a forged copy,
and so on. So a run of N events always delivers N genuine events, unless some are
withheld. Faults have a separate random
generator, so the genuine events are the same with and without faults.
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
from .renderings import for_second_endpoint
from .signing import Forgery
from .world import Event

UNMODELLED_TYPES: Final = frozenset(
    ("balance.available", "checkout.session.completed", "payment_method.attached")
)
"""Genuine event types of this traffic that the pipeline has no event model for."""

DUPLICATE_WITHIN: Final = 500
"""A duplicate follows its original by at most this many events."""
ALTERED_AFTER: Final = 200
"""An altered body follows its original by at least this many events, if that many follow."""

_AMOUNT_ADDED: Final = 1000
"""A multiple of every currency's step, so that an altered amount is still a valid amount."""
_WITH_AMOUNT: Final = ("charge.", "payment_intent.", "payout.", "refund.")
_WITHOUT_AMOUNT: Final = ("charge.dispute.",)
_ACCEPTED: Final = frozenset((200,))
_REFUSED: Final = frozenset((400, 401))


class Fault(StrEnum):
    """How a delivery differs from a normal one."""

    DUPLICATE = "duplicate"
    """The same bytes are sent a second time."""
    SECOND_ENDPOINT = "second_endpoint"
    """The event is sent as a second endpoint gets it: other bytes, but the same event."""
    LATE = "late"
    """The event is delivered after all others."""
    MALFORMED = "malformed"
    """The signature is right, but the body is not a valid event."""
    BAD_SIGNATURE = "bad_signature"
    """The event is valid, but its signature is missing, wrong, too old or too new."""
    ALTERED = "altered"
    """The signature is right, but the body has an earlier event's id and another content."""


class Destination(StrEnum):
    """Where a delivery must end."""

    EVENTS = "payment_events"
    QUARANTINE = "payment_events_quarantine"
    UNMODELLED = "payments.unmodelled"
    REFUSED = "nowhere"
    """The gateway refuses the delivery: nothing is stored."""


class Delivery(NamedTuple):
    """One body to deliver, its expected answers and its expected destination."""

    body: bytes
    event_id: str | None
    """`None` if no event id can be read from the body."""
    event_type: str
    """The type of the genuine event from which the body was made."""
    created: int
    fault: Fault | None
    detail: str | None
    """The name of the malformation or forgery."""
    forgery: Forgery | None
    answers: frozenset[int]
    """The HTTP statuses that are right answers."""
    destination: Destination
    """Of an altered body and its original, the one written second ends in quarantine."""
    failure: FailureClass | None
    """The failure class of the quarantined row."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of each fault: from 0 to 1, of the genuine events."""

    duplicates: float = 0.0
    late: float = 0.0
    malformed: float = 0.0
    bad_signature: float = 0.0
    altered: float = 0.0
    shuffle: bool = False
    """Deliver everything in random order. An altered body still follows its original."""
    second_endpoint: float = 0.0
    withheld: float = 0.0
    """Events that happen and that no webhook tells. Only the provider's API has them."""


def delivered(events: Iterator[Event], faults: Faults, dice: Dice) -> Iterator[Delivery]:
    """Yield the deliveries of these events in the order of sending."""
    positioned = _positioned(events, faults, dice)
    if faults.shuffle:
        for _, _, delivery in sorted(positioned, key=lambda each: each[:2]):
            yield delivery
        return
    waiting: list[tuple[float, int, Delivery]] = []
    for at, order, delivery in positioned:
        if delivery.fault is None:
            yield delivery
            while waiting and waiting[0][0] <= at:
                yield heappop(waiting)[2]
        else:
            heappush(waiting, (at, order, delivery))
    while waiting:
        yield heappop(waiting)[2]


def _positioned(
    events: Iterator[Event], faults: Faults, dice: Dice
) -> Iterator[tuple[float, int, Delivery]]:
    """Yield each delivery with its position in the order of sending, and a number that breaks ties.

    A position is an index in chronological order, or a random point in [0, 1) if shuffled. Late
    deliveries come after all others.
    """
    order = 0
    model: Event | None = None
    for index, event in enumerate(events):
        if faults.withheld and dice.chance(faults.withheld):
            continue
        late = dice.chance(faults.late)
        at = dice.random() if faults.shuffle else float(index)
        last = 1.0 if faults.shuffle else float("inf")
        extras: list[tuple[float, Delivery]] = []
        if _has_amount(event):
            model = event
        if dice.chance(faults.duplicates):
            twin_at = dice.random() if faults.shuffle else at + dice.uniform(1, DUPLICATE_WITHIN)
            extras.append((twin_at, genuine(event, Fault.DUPLICATE)))
        # No number is drawn without this fault, so that the other faults stay the same.
        if faults.second_endpoint and dice.chance(faults.second_endpoint):
            twin_at = dice.random() if faults.shuffle else at + dice.uniform(1, DUPLICATE_WITHIN)
            extras.append((twin_at, _for_second_endpoint(event, dice)))
        if dice.chance(faults.altered) and not late and _has_amount(event):
            after = dice.uniform(at, 1.0) if faults.shuffle else at + ALTERED_AFTER
            extras.append((after, _altered(event)))
        if dice.chance(faults.malformed) and model is not None:
            extras.append((at, _malformed(model, dice)))
        if dice.chance(faults.bad_signature):
            extras.append((at, _forged(event, dice)))
        first = genuine(event, Fault.LATE if late else None)
        for position, delivery in [(last if late else at, first), *extras]:
            order += 1
            yield position, order, delivery


def genuine(event: Event, fault: Fault | None = None) -> Delivery:
    """Return the delivery of an event as Stripe sends it."""
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
        destination=Destination.EVENTS if modelled else Destination.UNMODELLED,
        failure=None,
    )


def _has_amount(event: Event) -> bool:
    return event.type.startswith(_WITH_AMOUNT) and not event.type.startswith(_WITHOUT_AMOUNT)


def _for_second_endpoint(event: Event, dice: Dice) -> Delivery:
    body = for_second_endpoint(event, dice)
    return genuine(event, Fault.SECOND_ENDPOINT)._replace(body=body)


def _altered(event: Event) -> Delivery:
    parsed = orjson.loads(event.body)
    parsed["data"]["object"]["amount"] += _AMOUNT_ADDED
    return genuine(event, Fault.ALTERED)._replace(
        body=orjson.dumps(parsed),
        destination=Destination.QUARANTINE,
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
        destination=Destination.QUARANTINE,
        failure=malformation.failure,
    )


def _forged(event: Event, dice: Dice) -> Delivery:
    """Forge a copy with a new event id, so that a stored forgery can be recognized."""
    event_id = dice.id("evt")
    forgery = dice.choice(tuple(Forgery))
    return genuine(event, Fault.BAD_SIGNATURE)._replace(
        body=event.body.replace(event.event_id.encode(), event_id.encode(), 1),
        event_id=event_id,
        detail=forgery.value,
        forgery=forgery,
        answers=_REFUSED,
        destination=Destination.REFUSED,
    )
