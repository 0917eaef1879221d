"""Simulated declines: their codes at Stripe and the card networks, and how often they occur.

Sources: Stripe, "Decline codes" (code, decline_code, advice_code); the networks' response codes
(ISO 8583 field 39) and Mastercard's merchant advice codes as their retry rules name them.
"""

from typing import Final, NamedTuple

from .random_source import Dice, Weighted
from .shapes import Json


class Decline(NamedTuple):
    """One reason for a decline."""

    code: str
    decline_code: str | None
    message: str
    network_code: str | None
    """The network's response code, or `None` if Stripe did not ask the network."""
    advice_code: str | None
    """Stripe's advice."""
    mastercard_advice: str | None
    """Mastercard's merchant advice code. Other networks' cards have none."""
    retriable: bool
    """Whether the same card may work later."""

    def error(self, brand: str, charge: str | None, payment_method: Json) -> Json:
        """Build a PaymentIntent's `last_payment_error` for this decline."""
        return {
            "advice_code": self.advice_code,
            "charge": charge,
            "code": self.code,
            "decline_code": self.decline_code,
            "doc_url": f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}",
            "message": self.message,
            "network_advice_code": self.mastercard_advice if brand == "mastercard" else None,
            "network_decline_code": self.network_code,
            "payment_method": payment_method,
            "type": "card_error",
        }


_NO = "Your card was declined."


def _declined(
    decline_code: str,
    network_code: str | None,
    advice_code: str,
    mastercard_advice: str | None,
    *,
    retriable: bool = True,
    code: str = "card_declined",
) -> Decline:
    return Decline(code, decline_code, _NO, network_code, advice_code, mastercard_advice, retriable)


_LATER, _STOP, _CONFIRM = "try_again_later", "do_not_try_again", "confirm_card_data"

AUTHENTICATION_FAILED: Final = Decline(
    "payment_intent_authentication_failure",
    None,
    "The provided payment method has failed authentication.",
    None,
    None,
    None,
    retriable=False,
)
BLOCKED: Final = _declined("highest_risk_level", None, _STOP, None, retriable=False)
"""Stripe Radar blocked the payment and did not ask the network."""

_ORDINARY: Final = Weighted(
    {
        _declined("insufficient_funds", "51", _LATER, "26"): 40,
        _declined("generic_decline", "05", _LATER, "02"): 16,
        _declined("do_not_honor", "05", _LATER, "24"): 8,
        _declined("expired_card", "54", _CONFIRM, "01", code="expired_card", retriable=False): 8,
        _declined("incorrect_cvc", "N7", _CONFIRM, "01", code="incorrect_cvc", retriable=False): 5,
        _declined("processing_error", "96", _LATER, "02", code="processing_error"): 5,
        _declined("issuer_not_available", "91", _LATER, "25"): 5,
        _declined("card_velocity_exceeded", "65", _LATER, "28"): 4,
        _declined("transaction_not_allowed", "57", _STOP, "03", retriable=False): 3,
        _declined("lost_card", "41", _STOP, "03", retriable=False): 2,
        _declined("revocation_of_authorization", "R1", _STOP, "21", retriable=False): 2,
        _declined("invalid_account", "14", _STOP, "01", retriable=False): 2,
    }
)
_STOLEN: Final = Weighted(
    {
        _declined("stolen_card", "43", _STOP, "03", retriable=False): 25,
        _declined("pickup_card", "04", _STOP, "03", retriable=False): 10,
        _declined("fraudulent", "59", _STOP, "03", retriable=False): 20,
        _declined("do_not_honor", "05", _LATER, "02"): 20,
        _declined("incorrect_cvc", "N7", _CONFIRM, "01", code="incorrect_cvc", retriable=False): 15,
        BLOCKED: 10,
    }
)


def draw(dice: Dice, *, stolen: bool) -> Decline:
    """Draw a decline. Stolen cards have their own distribution."""
    return dice.pick(_STOLEN if stolen else _ORDINARY)
