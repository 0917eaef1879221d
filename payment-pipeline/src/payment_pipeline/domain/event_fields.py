"""The types of the fields of events, and the closed lists of their values.

Statuses and reasons are provider-neutral. A provider maps its own words to them once, and marts,
features, reviews and the ledger read nothing else. A word that the provider added later becomes
`unknown`, which never counts as a success.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

Id = Annotated[str, Field(min_length=1, max_length=255)]
Code = Annotated[str, Field(min_length=1, max_length=255)]
"""A provider's or a network's short code, e.g. `insufficient_funds`."""
MinorUnits = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]
"""An amount in the provider's minor unit: bronze stores it as `bigint`."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ExactMinor = Annotated[str, Field(pattern=r"^-?[0-9]{1,24}(\.[0-9]{1,6})?$")]
"""An amount in the minor unit that may have a fraction, e.g. a twelfth of a yearly price."""

PaymentStatus: TypeAlias = Literal[
    "created",
    "requires_action",
    "processing",
    "failed",
    "authorized",
    "succeeded",
    "canceled",
    "unknown",
]
"""The status of a payment or a charge. `authorized`: reserved and not captured. `succeeded`:
captured, in whole or in part. `canceled`: the authorization was released, nothing was captured."""
STATED_STATUSES: Final[Mapping[str, PaymentStatus]] = {
    "payment.created": "created",
    "payment.requires_action": "requires_action",
    "payment.processing": "processing",
    "payment.partially_funded": "processing",
    "payment.failed": "failed",
    "payment.amount_capturable_updated": "authorized",
    "payment.succeeded": "succeeded",
    "payment.canceled": "canceled",
    "charge.expired": "canceled",
}
"""The status that an event type of a payment or a charge states."""
DisputeStatus: TypeAlias = Literal[
    "inquiry",
    "inquiry_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
    "prevented",
    "refunded",
    "unknown",
]
"""`inquiry`: the bank asks for information, and nothing is charged back. `prevented`: settled
before the dispute opened. `refunded`: the merchant refunded the payment instead."""
RefundStatus: TypeAlias = Literal[
    "pending", "requires_action", "succeeded", "failed", "canceled", "unknown"
]
PayoutStatus: TypeAlias = Literal["pending", "in_transit", "paid", "failed", "canceled", "unknown"]
InvoiceStatus: TypeAlias = Literal["draft", "open", "paid", "uncollectible", "void", "unknown"]
SubscriptionStatus: TypeAlias = Literal[
    "incomplete",
    "expired",
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "canceled",
    "unknown",
]
"""`incomplete`: the first payment is not made. `expired`: the first payment was never made."""
ReviewStatus: TypeAlias = Literal["open", "closed", "unknown"]
DisputeReason: TypeAlias = Literal[
    "fraudulent",
    "unrecognized",
    "duplicate",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "credit_not_processed",
    "debit_not_authorized",
    "incorrect_amount_or_account",
    "not_processable",
    "other",
    "unknown",
]
RefundReason: TypeAlias = Literal[
    "requested_by_customer", "duplicate", "fraudulent", "authorization_expired", "unknown"
]
