"""The true money of the simulated payments and subscriptions, told beside their events.

A lifecycle says with each event what that event changes. The sum of the changes is right after
every event, in whatever order the events arrive later. No code of the normalizer and of the marts
is used here, so tests can compare the marts with it (`docs/guides/simulator.md`).
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple, Protocol, Self

from .shapes import Json


class Booking(NamedTuple):
    """What one event changes in a payment, or the sum of such changes. Amounts are minor units."""

    payment_id: str
    """The payment intent, or the charge if it has no intent."""
    currency: str
    state: str | None = None
    """The provider-neutral status; `None` if the event does not change it."""
    authorized_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    """Taken by chargebacks and not given back, without fees, in the currency of the payment."""
    failed_attempts: int = 0
    is_disputed: bool = False
    is_fraud_warned: bool = False

    @property
    def net_minor(self) -> int:
        """Captured less refunded less disputed."""
        return self.captured_minor - self.refunded_minor - self.disputed_minor

    def after(self, earlier: Self) -> Self:
        """Return the sum of this change and the earlier ones."""
        return self._replace(
            state=self.state or earlier.state,
            authorized_minor=earlier.authorized_minor + self.authorized_minor,
            captured_minor=earlier.captured_minor + self.captured_minor,
            refunded_minor=earlier.refunded_minor + self.refunded_minor,
            disputed_minor=earlier.disputed_minor + self.disputed_minor,
            failed_attempts=earlier.failed_attempts + self.failed_attempts,
            is_disputed=earlier.is_disputed or self.is_disputed,
            is_fraud_warned=earlier.is_fraud_warned or self.is_fraud_warned,
        )


class Billing(NamedTuple):
    """What a subscription bills in a month since one event."""

    subscription_id: str
    currency: str
    monthly_minor: Fraction
    """Without usage and tiers, which are not known in advance; 0 if nothing is billed."""
    has_unknown_part: bool = False
    """Whether a part is not known in advance: usage or tiers."""
    names_discounts_only: bool = False
    """Whether the body has a discount's id, and not what it takes off."""

    @property
    def has_unknown_amount(self) -> bool:
        """Whether the amount can't be read from the body."""
        return self.has_unknown_part or self.names_discounts_only


class Told(Protocol):
    """An event with what it changes."""

    @property
    def booked(self) -> Booking | Billing | None:
        """What the event changes."""


def booking(
    thing: Json,
    state: str | None = None,
    *,
    authorized_minor: int = 0,
    captured_minor: int = 0,
    refunded_minor: int = 0,
    disputed_minor: int = 0,
    failed_attempts: int = 0,
) -> Booking:
    """Return a change of the payment of a PaymentIntent or a charge."""
    return Booking(
        payment_id=thing.get("payment_intent") or thing["id"],
        currency=thing["currency"],
        state=state,
        authorized_minor=authorized_minor,
        captured_minor=captured_minor,
        refunded_minor=refunded_minor,
        disputed_minor=disputed_minor,
        failed_attempts=failed_attempts,
    )


def payments(events: Iterable[Told]) -> dict[str, Booking]:
    """Return the money of each payment after these events, by its id."""
    found: dict[str, Booking] = {}
    for event in events:
        if isinstance(change := event.booked, Booking):
            earlier = found.get(change.payment_id)
            found[change.payment_id] = change.after(earlier) if earlier else change
    return found


def subscriptions(events: Iterable[Told]) -> dict[str, Billing]:
    """Return what each subscription bills in a month after these events, by its id."""
    booked = (event.booked for event in events)
    return {each.subscription_id: each for each in booked if isinstance(each, Billing)}
