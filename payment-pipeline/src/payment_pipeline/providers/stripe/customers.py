"""Reads Stripe's objects about a payer: customers, discounts, tax ids and sources.

No personal data is read: no name, address, e-mail or tax number. The country is read.
"""

from payment_pipeline.providers.reader import Fields, Reader

from .money import currency, in_currency
from .parts import legacy_card, present
from .rendering import Rendering


def customer(found: Reader, _: Rendering) -> Fields:
    """Reads a Customer, which has few fields after its deletion."""
    return {
        "customer_id": found.identifier("id"),
        **in_currency(currency(found)),
        "balance_minor": found.amount("balance"),
        "delinquent": found.flag("delinquent"),
        "country": found.child("address").code("country"),
        "customer_since_at": found.moment("created"),
        "coupon_id": _coupon_id(found.expanded("discount")),
    }


def discount(found: Reader, _: Rendering) -> Fields:
    """Reads a Discount."""
    return {"coupon_id": _coupon_id(found)}


def tax_id(found: Reader, _: Rendering) -> Fields:
    """Reads a TaxId, without the number."""
    return {
        "customer_id": found.reference("customer") or found.child("owner").reference("customer"),
        "provider_status": found.child("verification").code("status"),
        "country": found.code("country"),
    }


def source(found: Reader, _: Rendering) -> Fields:
    """Reads a Card, a BankAccount or a Source: the predecessors of payment methods."""
    object_ = found.raw_text("object")
    if object_ == "card":
        return {"payment_method": legacy_card(found)}
    type_ = object_ if object_ == "bank_account" else found.raw_text("type")
    if type_ == "card":
        return {"payment_method": legacy_card(found.child("card"))}
    kind = type_ if object_ == "bank_account" else found.code("type")
    return {"payment_method": present({"type": kind, "country": found.code("country")})}


def _coupon_id(discounted: Reader) -> str | None:
    """The coupon of a discount. Since 2025-09-30.clover it is in the discount's `source`."""
    return discounted.label("coupon") or discounted.child("source").label("coupon")
