"""Lifecycles of disputes: inquiry, chargeback, evidence, decision, and what may follow it."""

from dataclasses import dataclass
from typing import Final

from . import payment_objects as objects
from .actors import Customer, Merchant
from .shapes import Json
from .true_money import Booking, booking
from .world import DAY_S, Lifecycle, World

DISPUTE_WON: Final = 0.35


@dataclass(slots=True)
class Case:
    """A dispute in its current state."""

    merchant: Merchant
    charge: Json
    object: Json

    @property
    def is_in_currency_of_payment(self) -> bool:
        """Whether the amount of the dispute can be compared with the payment's amounts."""
        return bool(self.object["currency"] == self.charge["currency"])

    def change(
        self,
        world: World,
        event_type: str,
        changes: Json,
        lost_minor: int = 0,
        moved_minor: int = 0,
    ) -> None:
        """Change the dispute and emit it.

        Args:
            world: the simulated world.
            event_type: the last part of Stripe's type.
            changes: the changed fields.
            lost_minor: what the merchant loses by it; negative when it is given back.
            moved_minor: what is booked now: negative when it is withdrawn. 0 for no booking.
        """
        if moved_minor:
            made = objects.dispute_movement(
                world.dice, world.now, self.merchant, self.object, moved_minor
            )
            moves = [*self.object["balance_transactions"], made]
            changes = {**changes, "balance_transactions": moves}
            self.merchant.balance_minor += made["net"]
        told = f"charge.dispute.{event_type}"
        booked = self._booked(lost_minor)
        self.object = world.change(self.merchant, told, self.object, changes, booked)

    def emit_creation(self, world: World) -> None:
        """Emit the dispute for the first time. A chargeback takes its whole amount."""
        is_inquiry = self.object["status"].startswith("warning_")
        booked = None if is_inquiry else self._booked(self.object["amount"])
        world.emit(self.merchant, "charge.dispute.created", self.object, booked=booked)

    def _booked(self, lost_minor: int) -> Booking | None:
        if not lost_minor:
            return None
        counted = lost_minor if self.is_in_currency_of_payment else 0
        return booking(self.charge, disputed_minor=counted)._replace(is_disputed=True)


def open_case(
    world: World,
    customer: Customer,
    charge: Json,
    reason: str,
    *,
    amount_minor: int | None = None,
    inquiry: bool = False,
) -> Case:
    """Return a new dispute of what was captured, or of another amount. It is not yet told."""
    amount = charge["amount_captured"] if amount_minor is None else amount_minor
    dispute = objects.dispute(world.dice, world.now, charge, amount, reason, inquiry=inquiry)
    return Case(customer.merchant, charge, dispute)


def dispute(world: World, customer: Customer, charge: Json, reason: str) -> Lifecycle:
    """Run a dispute from its creation to the last balance transaction."""
    dice = world.dice
    inquiry = reason != "fraudulent" and dice.chance(0.2)
    case = open_case(world, customer, charge, reason, inquiry=inquiry)
    case.emit_creation(world)
    if inquiry:
        yield from inquire(world, case)
        return
    withdraw(world, case)
    if dice.chance(0.6):
        yield from answer(world, case)
    yield 10 * DAY_S + dice.delay_s(15 * DAY_S)
    won = case.object["status"] == "under_review" and dice.chance(DISPUTE_WON)
    close(world, case, won=won)


def withdraw(world: World, case: Case) -> None:
    """Withdraw the disputed amount and the fee from the merchant."""
    case.change(world, "funds_withdrawn", {}, moved_minor=-case.object["amount"])
    case.charge = world.change(case.merchant, "charge.updated", case.charge, {"disputed": True})


def answer(world: World, case: Case) -> Lifecycle:
    """The merchant sends evidence after some days."""
    yield 2 * DAY_S + world.dice.delay_s(3 * DAY_S)
    details = case.object["evidence_details"]
    evidence = {**details, "has_evidence": True, "submission_count": 1}
    case.change(world, "updated", {"evidence_details": evidence, "status": "under_review"})


def close(world: World, case: Case, *, won: bool) -> None:
    """Close a chargeback. A won one gives the amount back, but not the fee."""
    amount = case.object["amount"]
    if not won:
        case.change(world, "closed", {"status": "lost"})
        return
    case.change(world, "closed", {"status": "won"}, lost_minor=-amount)
    case.change(world, "funds_reinstated", {}, moved_minor=amount)


def inquire(world: World, case: Case) -> Lifecycle:
    """Run an inquiry until the bank closes it. No money moves."""
    yield 2 * DAY_S + world.dice.delay_s(4 * DAY_S)
    case.change(world, "updated", {"status": "warning_under_review"})
    yield 20 * DAY_S
    case.change(world, "closed", {"status": "warning_closed"})
