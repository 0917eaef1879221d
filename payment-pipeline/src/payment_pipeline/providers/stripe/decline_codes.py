"""Stripe's decline codes and error codes, with the provider-neutral reason of each.

Source: Stripe, "Decline codes" and "Error codes" (docs.stripe.com/declines/codes, /error-codes).
"""

from collections.abc import Mapping
from typing import Final

from payment_pipeline.domain.declines import DeclineReason

REASONS: Final[Mapping[str, DeclineReason]] = {
    # money and limits
    "insufficient_funds": DeclineReason.INSUFFICIENT_FUNDS,
    "card_velocity_exceeded": DeclineReason.LIMIT_EXCEEDED,
    "withdrawal_count_limit_exceeded": DeclineReason.LIMIT_EXCEEDED,
    # the card's data
    "expired_card": DeclineReason.EXPIRED_CARD,
    "incorrect_number": DeclineReason.INCORRECT_NUMBER,
    "invalid_number": DeclineReason.INCORRECT_NUMBER,
    "incorrect_cvc": DeclineReason.INCORRECT_CVC,
    "invalid_cvc": DeclineReason.INCORRECT_CVC,
    "incorrect_zip": DeclineReason.INCORRECT_ADDRESS,
    "incorrect_address": DeclineReason.INCORRECT_ADDRESS,
    "incorrect_pin": DeclineReason.INCORRECT_PIN,
    "invalid_pin": DeclineReason.INCORRECT_PIN,
    "offline_pin_required": DeclineReason.INCORRECT_PIN,
    "online_or_offline_pin_required": DeclineReason.INCORRECT_PIN,
    "invalid_expiry_month": DeclineReason.INVALID_EXPIRY,
    "invalid_expiry_year": DeclineReason.INVALID_EXPIRY,
    # fraud
    "fraudulent": DeclineReason.FRAUD_SUSPECTED,
    "merchant_blacklist": DeclineReason.BLOCKED,
    "highest_risk_level": DeclineReason.BLOCKED,
    "elevated_risk_level": DeclineReason.BLOCKED,
    "blocked": DeclineReason.BLOCKED,
    "rule": DeclineReason.BLOCKED,
    "lost_card": DeclineReason.LOST_CARD,
    "stolen_card": DeclineReason.STOLEN_CARD,
    "pickup_card": DeclineReason.PICKUP_CARD,
    "restricted_card": DeclineReason.RESTRICTED_CARD,
    "security_violation": DeclineReason.SECURITY_VIOLATION,
    # authentication
    "authentication_required": DeclineReason.AUTHENTICATION_REQUIRED,
    "authentication_not_handled": DeclineReason.AUTHENTICATION_REQUIRED,
    "mobile_device_authentication_required": DeclineReason.AUTHENTICATION_REQUIRED,
    "authentication_failed": DeclineReason.AUTHENTICATION_FAILED,
    "payment_intent_authentication_failure": DeclineReason.AUTHENTICATION_FAILED,
    # a system was unavailable
    "processing_error": DeclineReason.PROCESSING_ERROR,
    "network_error": DeclineReason.PROCESSING_ERROR,
    "issuer_not_available": DeclineReason.ISSUER_UNAVAILABLE,
    "approve_with_id": DeclineReason.TRY_AGAIN_LATER,
    "reenter_transaction": DeclineReason.TRY_AGAIN_LATER,
    "try_again_later": DeclineReason.TRY_AGAIN_LATER,
    # final
    "revocation_of_authorization": DeclineReason.AUTHORIZATION_REVOKED,
    "revocation_of_all_authorizations": DeclineReason.AUTHORIZATION_REVOKED,
    "stop_payment_order": DeclineReason.PAYMENT_STOPPED,
    "transaction_not_allowed": DeclineReason.NOT_ALLOWED,
    "not_permitted": DeclineReason.NOT_ALLOWED,
    "service_not_allowed": DeclineReason.NOT_ALLOWED,
    "card_not_supported": DeclineReason.CARD_NOT_SUPPORTED,
    "currency_not_supported": DeclineReason.CURRENCY_NOT_SUPPORTED,
    "invalid_account": DeclineReason.INVALID_ACCOUNT,
    "new_account_information_available": DeclineReason.INVALID_ACCOUNT,
    "do_not_try_again": DeclineReason.DO_NOT_TRY_AGAIN,
    # no reason that calls for an action
    "do_not_honor": DeclineReason.DO_NOT_HONOR,
    "call_issuer": DeclineReason.CALL_ISSUER,
    "duplicate_transaction": DeclineReason.DUPLICATE,
    "invalid_amount": DeclineReason.INVALID_AMOUNT,
    "pin_try_exceeded": DeclineReason.PIN_TRIES_EXCEEDED,
    "card_declined": DeclineReason.GENERIC,
    "generic_decline": DeclineReason.GENERIC,
    "no_action_taken": DeclineReason.GENERIC,
    "testmode_decline": DeclineReason.GENERIC,
}


def reason(decline_code: str | None, code: str | None) -> DeclineReason | None:
    """The reason of a failure; `None` if Stripe gave no code.

    Args:
        decline_code: the issuer's or Radar's code. It is more exact than `code`.
        code: the error code, e.g. `card_declined` or `expired_card`.
    """
    exact = REASONS.get(decline_code or "")
    if exact is not None and exact is not DeclineReason.GENERIC:
        return exact
    known = REASONS.get(code or "", exact)
    if known is DeclineReason.GENERIC and decline_code and exact is None:
        return DeclineReason.UNKNOWN  # a new decline code says more than `card_declined`
    if known is not None:
        return known
    return DeclineReason.UNKNOWN if decline_code or code else None
