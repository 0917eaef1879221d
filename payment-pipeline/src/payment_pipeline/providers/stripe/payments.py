"""Reads Stripe's objects that move money: intents, charges, refunds and payouts.

Source: Stripe's API reference and changelog. Before 2022-11-15 a PaymentIntent embedded
`charges.data[]`, newest first. Since then it names its `latest_charge`. 2025-03-31.basil removed
`invoice` from the PaymentIntent and the Charge. The rules of the amounts are in
`docs/guides/money.md`.
"""

from payment_pipeline.domain.event_fields import STATED_STATUSES
from payment_pipeline.providers.reader import Fields, Reader

from . import statuses
from .money import money
from .parts import about_charge, decline, payment_method, risk
from .rendering import Rendering


def payment(found: Reader, rendering: Rendering) -> Fields:
    """Reads a PaymentIntent."""
    attempt = _latest_attempt(found)
    failure = found.child("last_payment_error")
    status = _payment_status(found.raw_text("status"), rendering, failed=bool(failure))
    method = (
        attempt.child("payment_method_details")
        or failure.expanded("payment_method")
        or found.expanded("payment_method")
    )
    return {
        **money(found, "amount"),
        "payment_id": found.identifier("id"),
        "status": status,
        "amount_capturable_minor": found.amount(
            "amount_capturable",
            required=rendering.event_type == "payment.amount_capturable_updated",
        ),
        "amount_received_minor": found.amount("amount_received", required=status == "succeeded"),
        "charge_id": found.reference("latest_charge")
        or attempt.identifier("id")
        or failure.reference("charge"),
        "invoice_id": found.reference("invoice"),
        **found.codes("capture_method", "cancellation_reason", "setup_future_usage"),
        "decline": decline(failure, failure.code("decline_code"), failure.code("code")),
        "payment_method": payment_method(method),
        "risk": risk(attempt.child("outcome")),
    }


def charge(found: Reader, rendering: Rendering) -> Fields:
    """Reads a Charge."""
    outcome = found.child("outcome")
    failure_code = found.code("failure_code")
    # The outcome's reason is a decline code only if the charge failed. Otherwise it is Radar's.
    declined_for = outcome.code("reason") if failure_code else None
    details = found.child("payment_method_details")
    status = _charge_status(found, rendering)
    captured_minor = _captured_minor(found, rendering)
    return {
        **money(found, "amount"),
        "payment_id": found.reference("payment_intent") or found.identifier("id"),
        "status": status,
        "amount_authorized_minor": _authorized_minor(found, details, status),
        "amount_captured_minor": captured_minor,
        "amount_refunded_minor": _refunded_minor(found, rendering, captured_minor),
        "captured": found.flag("captured"),
        "disputed": found.flag("disputed"),
        "refunded": found.flag("refunded"),
        "invoice_id": found.reference("invoice"),
        "balance_transaction_id": found.reference("balance_transaction"),
        "decline": decline(outcome, declined_for, failure_code),
        "payment_method": payment_method(details),
        "risk": risk(outcome),
    }


def refund(found: Reader, _: Rendering) -> Fields:
    """Reads a Refund."""
    return {
        **money(found, "amount"),
        **about_charge(found),
        "status": statuses.neutral(statuses.REFUND, found.raw_text("status")),
        **statuses.reason(statuses.REFUND_REASON, found.code("reason")),
        **found.codes("failure_reason"),
        "requested_at": found.moment("created"),
    }


def payout(found: Reader, _: Rendering) -> Fields:
    """Reads a Payout."""
    return {
        **money(found, "amount"),
        "status": statuses.neutral(statuses.PAYOUT, found.raw_text("status")),
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


def _payment_status(said: str | None, rendering: Rendering, *, failed: bool) -> str:
    """The status of a PaymentIntent: what the event's type states, if its own status allows it.

    The type says more: after a decline the intent has the same status as a new one.
    """
    of_object = statuses.neutral(statuses.PAYMENT_INTENT, said)
    if of_object == "created" and failed:
        of_object = "failed"
    of_type = STATED_STATUSES.get(rendering.event_type or "")
    if of_type is None:
        return of_object
    if said is not None and of_object == statuses.UNKNOWN:
        return statuses.UNKNOWN
    if of_type == "succeeded" and of_object not in ("succeeded", statuses.UNKNOWN):
        return statuses.UNKNOWN
    return of_type


def _charge_status(found: Reader, rendering: Rendering) -> str:
    """The status of a Charge: an approved charge is authorized until it is captured."""
    of_type = STATED_STATUSES.get(rendering.event_type or "")
    if of_type is not None:
        return of_type
    status = statuses.neutral(statuses.CHARGE, found.raw_text("status"))
    if status != "succeeded":
        return status
    captured = found.flag("captured")
    if captured is None:
        return status if rendering.event_type == "charge.captured" else statuses.UNKNOWN
    if captured:
        return status
    # Without a capture nothing was paid, so what was given back is the whole authorization.
    return "canceled" if found.flag("refunded") else "authorized"


def _authorized_minor(found: Reader, details: Reader, status: str) -> int | None:
    """The approved amount. Stripe: `amount_authorized` of the card, since partial approvals."""
    if status not in ("authorized", "succeeded", "canceled"):
        return None
    card = details.child(details.raw_text("type") or "card")
    approved = card.amount("amount_authorized")
    return found.amount("amount") if approved is None else approved


def _captured_minor(found: Reader, rendering: Rendering) -> int | None:
    """The captured amount. Before 2020 a charge had no `amount_captured`.

    The event of a partial capture then had the released rest in `amount_refunded`.
    """
    said = found.amount("amount_captured")
    if said is not None:
        return said
    captured = found.flag("captured")
    if captured is False:
        return 0
    amount = found.amount("amount")
    if amount is None or not captured:
        if rendering.event_type == "charge.captured":
            found.fault("amount_captured", "is missing")
        return None
    if rendering.event_type == "charge.captured":
        return amount - (found.amount("amount_refunded") or 0)
    return amount if rendering.event_type == "charge.succeeded" else None


def _refunded_minor(found: Reader, rendering: Rendering, captured_minor: int | None) -> int | None:
    """The refunded amount, without the released part of the authorization.

    Until 2025-03-31.basil `amount_refunded` includes that part once it is released. It is released
    as a whole, so a smaller `amount_refunded` holds refunds alone.
    """
    required = rendering.event_type == "charge.refunded"
    said, amount = found.amount("amount_refunded", required=required), found.amount("amount")
    if not said or amount is None:
        return said
    if found.flag("captured") is False:
        return 0
    rest = amount - captured_minor if captured_minor is not None else 0
    if rest <= 0 or said < rest:
        return said
    includes_releases = rendering.refunds_include_releases
    if includes_releases is None:
        message = "may include a released authorization: the event has no api_version"
        found.fault("amount_refunded", message)
        return None
    return said - rest if includes_releases else said
