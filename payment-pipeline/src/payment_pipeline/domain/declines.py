"""The provider-neutral reasons of a declined payment, and the class of each reason.

A class says what to do next: a reason of `insufficient_funds` calls for a later retry, one of
`card_data` for another card. Each provider maps its codes to reasons once, e.g.
`providers/stripe/decline_codes.py`. Marts, features and retry rules read only reasons and classes.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class DeclineClass(StrEnum):
    """What a declined payment calls for."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    """A retry when there is money again."""
    CARD_DATA = "card_data"
    """The customer corrects the card's data, or gives another card."""
    SUSPECTED_FRAUD = "suspected_fraud"
    """A check of the customer; no retry."""
    AUTHENTICATION = "authentication"
    """The cardholder authenticates."""
    TRANSIENT = "transient"
    """A retry soon: a system was unavailable."""
    DO_NOT_RETRY = "do_not_retry"
    """Another payment method: this one will not be approved."""
    OTHER = "other"
    """The issuer gave no reason, or one that calls for none of the above."""


class DeclineReason(StrEnum):
    """The reason of a decline."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    """A limit of the card: its balance, its credit, or the sum or number of transactions."""
    EXPIRED_CARD = "expired_card"
    INCORRECT_NUMBER = "incorrect_number"
    INCORRECT_CVC = "incorrect_cvc"
    INCORRECT_ADDRESS = "incorrect_address"
    INCORRECT_PIN = "incorrect_pin"
    INVALID_EXPIRY = "invalid_expiry"
    FRAUD_SUSPECTED = "fraud_suspected"
    """The issuer suspects fraud."""
    BLOCKED = "blocked"
    """The provider's or the merchant's rules blocked the payment. The issuer was not asked."""
    LOST_CARD = "lost_card"
    STOLEN_CARD = "stolen_card"
    PICKUP_CARD = "pickup_card"
    RESTRICTED_CARD = "restricted_card"
    SECURITY_VIOLATION = "security_violation"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_FAILED = "authentication_failed"
    PROCESSING_ERROR = "processing_error"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    TRY_AGAIN_LATER = "try_again_later"
    AUTHORIZATION_REVOKED = "authorization_revoked"
    """The cardholder revoked this authorization, or all of the merchant's."""
    PAYMENT_STOPPED = "payment_stopped"
    NOT_ALLOWED = "not_allowed"
    """The card does not allow this kind of transaction."""
    CARD_NOT_SUPPORTED = "card_not_supported"
    CURRENCY_NOT_SUPPORTED = "currency_not_supported"
    INVALID_ACCOUNT = "invalid_account"
    DO_NOT_TRY_AGAIN = "do_not_try_again"
    DO_NOT_HONOR = "do_not_honor"
    CALL_ISSUER = "call_issuer"
    DUPLICATE = "duplicate"
    INVALID_AMOUNT = "invalid_amount"
    PIN_TRIES_EXCEEDED = "pin_tries_exceeded"
    GENERIC = "generic"
    """The issuer gave no reason."""
    UNKNOWN = "unknown"
    """The provider gave a code that this version does not know."""


CLASSES: Final[Mapping[DeclineReason, DeclineClass]] = {
    **dict.fromkeys(
        (DeclineReason.INSUFFICIENT_FUNDS, DeclineReason.LIMIT_EXCEEDED),
        DeclineClass.INSUFFICIENT_FUNDS,
    ),
    **dict.fromkeys(
        (
            DeclineReason.EXPIRED_CARD,
            DeclineReason.INCORRECT_NUMBER,
            DeclineReason.INCORRECT_CVC,
            DeclineReason.INCORRECT_ADDRESS,
            DeclineReason.INCORRECT_PIN,
            DeclineReason.INVALID_EXPIRY,
        ),
        DeclineClass.CARD_DATA,
    ),
    **dict.fromkeys(
        (
            DeclineReason.FRAUD_SUSPECTED,
            DeclineReason.BLOCKED,
            DeclineReason.LOST_CARD,
            DeclineReason.STOLEN_CARD,
            DeclineReason.PICKUP_CARD,
            DeclineReason.RESTRICTED_CARD,
            DeclineReason.SECURITY_VIOLATION,
        ),
        DeclineClass.SUSPECTED_FRAUD,
    ),
    **dict.fromkeys(
        (DeclineReason.AUTHENTICATION_REQUIRED, DeclineReason.AUTHENTICATION_FAILED),
        DeclineClass.AUTHENTICATION,
    ),
    **dict.fromkeys(
        (
            DeclineReason.PROCESSING_ERROR,
            DeclineReason.ISSUER_UNAVAILABLE,
            DeclineReason.TRY_AGAIN_LATER,
        ),
        DeclineClass.TRANSIENT,
    ),
    **dict.fromkeys(
        (
            DeclineReason.AUTHORIZATION_REVOKED,
            DeclineReason.PAYMENT_STOPPED,
            DeclineReason.NOT_ALLOWED,
            DeclineReason.CARD_NOT_SUPPORTED,
            DeclineReason.CURRENCY_NOT_SUPPORTED,
            DeclineReason.INVALID_ACCOUNT,
            DeclineReason.DO_NOT_TRY_AGAIN,
        ),
        DeclineClass.DO_NOT_RETRY,
    ),
    **dict.fromkeys(
        (
            DeclineReason.DO_NOT_HONOR,
            DeclineReason.CALL_ISSUER,
            DeclineReason.DUPLICATE,
            DeclineReason.INVALID_AMOUNT,
            DeclineReason.PIN_TRIES_EXCEEDED,
            DeclineReason.GENERIC,
            DeclineReason.UNKNOWN,
        ),
        DeclineClass.OTHER,
    ),
}
"""The class of each reason."""


def classified(reason: DeclineReason) -> dict[str, object]:
    """The fields `reason` and `decline_class` of a `Decline`."""
    return {"reason": reason, "decline_class": CLASSES[reason]}
