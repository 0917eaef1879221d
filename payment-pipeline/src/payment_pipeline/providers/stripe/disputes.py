"""Reads Stripe's objects that put a payment in doubt: disputes, fraud warnings and reviews.

Source: Stripe's API reference. A dispute's balance transactions say what was taken from the
merchant and what was given back. Their `amount` is without the dispute fee, their `net` is with it.
"""

from typing import Final

from payment_pipeline.providers.reader import Fields, Reader

from . import statuses
from .money import currency, money
from .parts import about_charge
from .rendering import Rendering

NO_RESPONSE_ALLOWED: Final = 0
"""A dispute's `evidence_details.due_by` if the bank accepts no evidence. It is not a date."""


def dispute(found: Reader, _: Rendering) -> Fields:
    """Reads a Dispute. Its customer is known only if its charge is expanded."""
    method = found.child("payment_method_details")
    detail = method.expanded(method.raw_text("type") or "card")
    evidence = found.child("evidence_details")
    closed_to_evidence = evidence.count("due_by") == NO_RESPONSE_ALLOWED
    return {
        **money(found, "amount"),
        **about_charge(found),
        "status": statuses.neutral(statuses.DISPUTE, found.raw_text("status")),
        **statuses.reason(statuses.DISPUTE_REASON, found.code("reason")),
        "network_reason_code": detail.code("network_reason_code")
        or detail.code("reason_code")
        or found.code("network_reason_code"),
        "is_charge_refundable": found.flag("is_charge_refundable"),
        "evidence_due_at": None if closed_to_evidence else evidence.moment("due_by"),
        **_moved(found),
    }


def fraud_warning(found: Reader, _: Rendering) -> Fields:
    """Reads an early fraud warning of the card's issuer."""
    return {
        **about_charge(found),
        "status": None,
        **found.codes("fraud_type"),
        "actionable": found.flag("actionable"),
    }


def review(found: Reader, _: Rendering) -> Fields:
    """Reads a Radar review."""
    return {
        **about_charge(found),
        "status": {True: "open", False: "closed", None: statuses.UNKNOWN}[found.flag("open")],
        **found.codes("reason", "opened_reason", "closed_reason"),
    }


def _moved(found: Reader) -> Fields:
    """The money that the dispute has moved; nothing if it moved several currencies."""
    moves = found.children("balance_transactions")
    currencies = {currency(move) for move in moves}
    settled_in = currencies.pop() if len(currencies) == 1 else None
    if settled_in is None:
        return {}
    amounts = [move.amount("amount") or 0 for move in moves]
    nets = [move.amount("net") for move in moves]
    return {
        "net_balance_minor": sum(net for net in nets if net is not None),
        "net_balance_currency": settled_in.code,
        "withdrawn_minor": -sum(amount for amount in amounts if amount < 0),
        "reinstated_minor": sum(amount for amount in amounts if amount > 0),
    }
