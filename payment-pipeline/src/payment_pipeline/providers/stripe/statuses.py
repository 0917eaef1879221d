"""Stripe's statuses and reasons, with the provider-neutral value of each.

Source: Stripe's API reference, `status` and `reason` of each object. A value that Stripe added
later becomes `unknown`.
"""

from collections.abc import Mapping
from typing import Final

UNKNOWN: Final = "unknown"

PAYMENT_INTENT: Final[Mapping[str, str]] = {
    "requires_payment_method": "created",
    "requires_confirmation": "created",
    "requires_action": "requires_action",
    "requires_source": "created",  # before 2019-02-11
    "requires_source_action": "requires_action",
    "processing": "processing",
    "requires_capture": "authorized",
    "succeeded": "succeeded",
    "canceled": "canceled",
}
CHARGE: Final[Mapping[str, str]] = {
    "succeeded": "succeeded",
    "paid": "succeeded",  # before 2015-02-18
    "pending": "processing",
    "failed": "failed",
}
DISPUTE: Final[Mapping[str, str]] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "inquiry_closed",
    "needs_response": "needs_response",
    "under_review": "under_review",
    "won": "won",
    "lost": "lost",
    "prevented": "prevented",
    "charge_refunded": "refunded",
}
DISPUTE_REASON: Final[Mapping[str, str]] = {
    "fraudulent": "fraudulent",
    "unrecognized": "unrecognized",
    "duplicate": "duplicate",
    "product_not_received": "product_not_received",
    "product_unacceptable": "product_unacceptable",
    "subscription_canceled": "subscription_canceled",
    "credit_not_processed": "credit_not_processed",
    "debit_not_authorized": "debit_not_authorized",
    "incorrect_account_details": "incorrect_amount_or_account",
    "bank_cannot_process": "not_processable",
    "check_returned": "not_processable",
    "insufficient_funds": "not_processable",
    "customer_initiated": "other",
    "general": "other",
    "noncompliant": "other",
}
REFUND: Final[Mapping[str, str]] = {
    name: name for name in ("pending", "requires_action", "succeeded", "failed", "canceled")
}
REFUND_REASON: Final[Mapping[str, str]] = {
    "requested_by_customer": "requested_by_customer",
    "duplicate": "duplicate",
    "fraudulent": "fraudulent",
    "expired_uncaptured_charge": "authorization_expired",
}
PAYOUT: Final[Mapping[str, str]] = {
    name: name for name in ("pending", "in_transit", "paid", "failed", "canceled")
}
INVOICE: Final[Mapping[str, str]] = {
    name: name for name in ("draft", "open", "paid", "uncollectible", "void")
}
SUBSCRIPTION: Final[Mapping[str, str]] = {
    "incomplete": "incomplete",
    "incomplete_expired": "expired",
    **{name: name for name in ("trialing", "active", "past_due", "unpaid", "paused", "canceled")},
}


def neutral(values: Mapping[str, str], value: str | None) -> str:
    """The provider-neutral value. A missing value, or one that is not listed, is `unknown`."""
    return values.get(value or "", UNKNOWN)


def reason(values: Mapping[str, str], value: str | None) -> dict[str, object]:
    """The fields `reason` and `provider_reason`; none if there is no reason."""
    if value is None:
        return {}
    return {"reason": values.get(value, UNKNOWN), "provider_reason": value}
