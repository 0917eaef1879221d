"""The parts that several of Stripe's objects share: payment method, decline and risk.

A part is `None` if all of its fields are absent.
"""

from collections.abc import Mapping
from typing import Final

from payment_pipeline.domain.declines import CLASSES
from payment_pipeline.providers.reader import Fields, Reader

from .decline_codes import reason as decline_reason

CARD_TYPES: Final = frozenset({"card", "card_present", "interac_present"})
"""The types of payment method that have the details of a card."""

BRANDS: Final[Mapping[str, str]] = {
    "american express": "amex",
    "diners club": "diners",
    "eftpos australia": "eftpos_au",
}
"""Brand names of the legacy card object, in lower case → today's names."""


def payment_method(details: Reader) -> Fields | None:
    """Reads a charge's `payment_method_details` or a PaymentMethod, which share field names."""
    type_ = details.text("type")
    if type_ not in CARD_TYPES:
        return present({"type": type_})
    card = details.child(type_)
    checks = card.child("checks")
    return {
        "type": type_,
        **card.texts("brand", "funding", "country"),
        "network": card.text("network") or card.child("networks").text("preferred"),
        "wallet": card.child("wallet").text("type"),
        "card_hash": card.pseudonym("fingerprint"),
        **checks.texts("cvc_check"),
        "postal_code_check": checks.text("address_postal_code_check"),
        "three_d_secure": card.child("three_d_secure").text("result"),
    }


def legacy_card(card: Reader) -> Fields:
    """Reads a Card, or the `card` of a Source: the predecessors of payment methods."""
    brand = (card.text("brand") or "").lower()
    return {
        "type": "card",
        "brand": BRANDS.get(brand, brand) or None,
        **card.texts("funding", "country", "cvc_check"),
        "wallet": card.text("tokenization_method"),
        "card_hash": card.pseudonym("fingerprint"),
        "postal_code_check": card.text("address_zip_check"),
    }


def decline(failure: Reader, decline_code: str | None, code: str | None) -> Fields | None:
    """Reads a PaymentIntent's `last_payment_error` or a Charge's `outcome`."""
    if not (failure or code):
        return None  # true for nearly every payment
    reason = decline_reason(decline_code, code)
    return present(
        {
            "reason": reason,
            "decline_class": CLASSES[reason] if reason else None,
            "code": code,
            "decline_code": decline_code,
            **failure.texts("advice_code", "network_decline_code", "network_advice_code"),
        }
    )


def risk(outcome: Reader) -> Fields | None:
    """Reads Radar's assessment from a Charge's `outcome`."""
    if not outcome:
        return None
    return present(
        {
            "level": outcome.text("risk_level"),
            "score": outcome.count("risk_score"),
            "outcome_type": outcome.text("type"),
            **outcome.texts("reason"),
        }
    )


def present(fields: Fields) -> Fields | None:
    """The part, or `None` if all of its fields are absent."""
    for value in fields.values():
        if value is not None:
            return fields
    return None


def about_charge(found: Reader) -> Fields:
    """The charge, the payment, and the customer if the charge names one."""
    charged = found.expanded("charge")
    charge_id = found.reference("charge")
    payment_id = found.reference("payment_intent") or charged.reference("payment_intent")
    fields: Fields = {"charge_id": charge_id, "payment_id": payment_id or charge_id}
    customer_id = charged.reference("customer")
    return {**fields, "customer_id": customer_id} if customer_id else fields
