"""The parts that several of Stripe's objects share: payment method, decline and risk.

A part is `None` if all of its fields are absent.
"""

from collections.abc import Mapping
from typing import Final

from payment_pipeline.domain.declines import classified
from payment_pipeline.domain.personal_data import is_code
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
    type_ = details.raw_text("type")
    if type_ not in CARD_TYPES:
        return present({"type": details.code("type")})
    card = details.child(type_)
    checks = card.child("checks")
    return {
        "type": type_,
        **card.codes("brand", "funding", "country"),
        "network": card.code("network") or card.child("networks").code("preferred"),
        "wallet": card.child("wallet").code("type"),
        "card_hash": card.pseudonym("fingerprint"),
        **checks.codes("cvc_check"),
        "postal_code_check": checks.code("address_postal_code_check"),
        "three_d_secure": card.child("three_d_secure").code("result"),
    }


def legacy_card(card: Reader) -> Fields:
    """Reads a Card, or the `card` of a Source: the predecessors of payment methods."""
    brand = (card.raw_text("brand") or "").lower()
    return {
        "type": "card",
        "brand": BRANDS.get(brand) or (brand if is_code(brand) else None),
        **card.codes("funding", "country", "cvc_check"),
        "wallet": card.code("tokenization_method"),
        "card_hash": card.pseudonym("fingerprint"),
        "postal_code_check": card.code("address_zip_check"),
    }


def decline(failure: Reader, decline_code: str | None, code: str | None) -> Fields | None:
    """Reads a PaymentIntent's `last_payment_error` or a Charge's `outcome`."""
    if not (failure or code):
        return None  # true for nearly every payment
    reason = decline_reason(decline_code, code)
    return present(
        {
            **(classified(reason) if reason else {}),
            "code": code,
            "decline_code": decline_code,
            **failure.codes("advice_code", "network_decline_code", "network_advice_code"),
        }
    )


def risk(outcome: Reader) -> Fields | None:
    """Reads Radar's assessment from a Charge's `outcome`."""
    if not outcome:
        return None
    return present(
        {
            "level": outcome.code("risk_level"),
            "score": outcome.count("risk_score"),
            "outcome_type": outcome.code("type"),
            **outcome.codes("reason"),
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
