"""Reads Stripe's objects about one payment: intents, charges, disputes, refunds and others.

Source: Stripe's API reference and changelog. Before 2022-11-15 a PaymentIntent embedded
`charges.data[]`, newest first. Since then it names its `latest_charge`. 2025-03-31.basil removed
`invoice` from the PaymentIntent and the Charge.
"""

from typing import Final

from payment_pipeline.providers.reader import Fields, Reader

from .money import currency, money
from .parts import decline, payment_method, risk

NO_RESPONSE_ALLOWED: Final = 0
"""A dispute's `evidence_details.due_by` if the bank accepts no evidence. It is not a date."""


def payment(found: Reader) -> Fields:
    """Reads a PaymentIntent."""
    attempt = _latest_attempt(found)
    failure = found.child("last_payment_error")
    method = (
        attempt.child("payment_method_details")
        or failure.expanded("payment_method")
        or found.expanded("payment_method")
    )
    return {
        **money(found, "amount"),
        "payment_id": found.identifier("id"),
        "amount_capturable_minor": found.amount("amount_capturable"),
        "amount_received_minor": found.amount("amount_received"),
        "charge_id": found.reference("latest_charge")
        or attempt.identifier("id")
        or failure.reference("charge"),
        "invoice_id": found.reference("invoice"),
        **found.codes("capture_method", "cancellation_reason", "setup_future_usage"),
        "decline": decline(failure, failure.code("decline_code"), failure.code("code")),
        "payment_method": payment_method(method),
        "risk": risk(attempt.child("outcome")),
    }


def charge(found: Reader) -> Fields:
    """Reads a Charge."""
    outcome = found.child("outcome")
    failure_code = found.code("failure_code")
    # The outcome's reason is a decline code only if the charge failed. Otherwise it is Radar's.
    declined_for = outcome.code("reason") if failure_code else None
    return {
        **money(found, "amount"),
        "payment_id": found.reference("payment_intent") or found.identifier("id"),
        "amount_captured_minor": found.amount("amount_captured"),
        "amount_refunded_minor": found.amount("amount_refunded"),
        "captured": found.flag("captured"),
        "disputed": found.flag("disputed"),
        "refunded": found.flag("refunded"),
        "invoice_id": found.reference("invoice"),
        "balance_transaction_id": found.reference("balance_transaction"),
        "decline": decline(outcome, declined_for, failure_code),
        "payment_method": payment_method(found.child("payment_method_details")),
        "risk": risk(outcome),
    }


def dispute(found: Reader) -> Fields:
    """Reads a Dispute. Its customer is known only if its charge is expanded."""
    method = found.child("payment_method_details")
    detail = method.expanded(method.raw_text("type") or "card")
    evidence = found.child("evidence_details")
    closed_to_evidence = evidence.count("due_by") == NO_RESPONSE_ALLOWED
    return {
        **money(found, "amount"),
        **_about_charge(found),
        **found.codes("reason"),
        "network_reason_code": detail.code("network_reason_code")
        or detail.code("reason_code")
        or found.code("network_reason_code"),
        "is_charge_refundable": found.flag("is_charge_refundable"),
        "evidence_due_at": None if closed_to_evidence else evidence.moment("due_by"),
        **_net_balance(found),
    }


def refund(found: Reader) -> Fields:
    """Reads a Refund."""
    return {
        **money(found, "amount"),
        **_about_charge(found),
        **found.codes("reason", "failure_reason"),
    }


def fraud_warning(found: Reader) -> Fields:
    """Reads an early fraud warning of the card's issuer."""
    return {
        **_about_charge(found),
        **found.codes("fraud_type"),
        "actionable": found.flag("actionable"),
    }


def review(found: Reader) -> Fields:
    """Reads a Radar review."""
    return {
        **_about_charge(found),
        "status": {True: "open", False: "closed", None: None}[found.flag("open")],
        **found.codes("reason", "opened_reason", "closed_reason"),
    }


def payout(found: Reader) -> Fields:
    """Reads a Payout."""
    return {
        **money(found, "amount"),
        **found.codes("method", "type", "failure_code"),
        "arrival_at": found.moment("arrival_date"),
        "automatic": found.flag("automatic"),
        "balance_transaction_id": found.reference("balance_transaction"),
    }


def _latest_attempt(intent: Reader) -> Reader:
    latest = intent.expanded("latest_charge")
    if latest:
        return latest
    embedded = intent.child("charges").children("data")
    return embedded[0] if embedded else latest


def _about_charge(found: Reader) -> Fields:
    """The charge, the payment, and the customer if the charge names one."""
    charged = found.expanded("charge")
    charge_id = found.reference("charge")
    payment_id = found.reference("payment_intent") or charged.reference("payment_intent")
    fields: Fields = {"charge_id": charge_id, "payment_id": payment_id or charge_id}
    customer_id = charged.reference("customer")
    return {**fields, "customer_id": customer_id} if customer_id else fields


def _net_balance(found: Reader) -> Fields:
    """The money that the dispute has moved; nothing if it moved several currencies."""
    moves = found.children("balance_transactions")
    nets = [move.amount("net") for move in moves]
    currencies = {currency(move) for move in moves}
    settled_in = currencies.pop() if len(currencies) == 1 else None
    if settled_in is None:
        return {}
    return {
        "net_balance_minor": sum(net for net in nets if net is not None),
        "net_balance_currency": settled_in.code,
    }
