"""Builders of Stripe objects for payments and the objects that follow a payment.

These are PaymentIntent, Charge, Refund, Dispute, balance transaction, early fraud warning and
review. Each object has the fields of the newest and of the older API versions. `versions.shaped`
removes the fields that a version does not have. Source of the fields: Stripe's API reference for
each object.
"""

from typing import Final

from .actors import Customer, Merchant
from .currencies import CURRENCIES, minor
from .random_source import Dice
from .shapes import Json, template
from .simulated_declines import BLOCKED, Decline

DISPUTE_FEE_USD: Final = 15.0
_EVIDENCE_DAYS: Final = 9
_DAY_S: Final = 86_400


def settled(merchant: Merchant, currency: str, amount_minor: int) -> tuple[int, float | None]:
    """Convert an amount to the merchant's settlement currency.

    Returns:
        The amount, and the exchange rate or `None` if the currency is the same.
    """
    if currency == merchant.currency:
        return amount_minor, None
    source, target = CURRENCIES[currency], CURRENCIES[merchant.currency]
    rate = target.per_usd / source.per_usd
    scale = target.minor_per_major / source.minor_per_major
    return round(amount_minor * rate * scale), round(rate, 6)


def intent(
    dice: Dice, now: int, customer: Customer, amount_minor: int, currency: str, invoice: str | None
) -> Json:
    """Build a PaymentIntent before its first attempt."""
    intent_id = dice.id("pi")
    return {
        **template("payment_intent"),
        "id": intent_id,
        "amount": amount_minor,
        "charges": _charges(intent_id, []),
        "client_secret": f"{intent_id}_secret_{dice.text(25)}",
        "created": now,
        "currency": currency,
        "customer": customer.id,
        "description": "Subscription update" if invoice else "Order",
        "invoice": invoice,
        "metadata": {} if invoice else {"order_id": str(dice.randrange(10**6, 10**7))},
        "payment_method": None,
        "receipt_email": customer.object["email"],
        "setup_future_usage": "off_session" if invoice else None,
    }


def with_charge(charge: Json) -> Json:
    """Return the changes of an intent after a charge, for the older and the newest API versions."""
    return {
        "charges": _charges(charge["payment_intent"], [charge]),
        "latest_charge": charge["id"],
        "payment_method": charge["payment_method"],
    }


def _charges(intent_id: str, charges: list[Json]) -> Json:
    return {
        "object": "list",
        "data": charges,
        "has_more": False,
        "total_count": len(charges),
        "url": f"/v1/charges?payment_intent={intent_id}",
    }


def charge(
    dice: Dice,
    now: int,
    customer: Customer,
    intent: Json,
    decline: Decline | None,
    risk_score: int,
    three_d_secure: str | None,
) -> Json:
    """Build the charge of one attempt. It is captured at once unless the capture is manual."""
    charge_id, amount = dice.id("ch"), intent["amount"]
    ok = decline is None
    captured = ok and intent["capture_method"] == "automatic"
    return {
        **template("charge"),
        "id": charge_id,
        "amount": amount,
        "amount_captured": amount if captured else 0,
        "balance_transaction": dice.id("txn") if captured else None,
        "billing_details": billing_details(customer),
        "captured": captured,
        "created": now,
        "currency": intent["currency"],
        "customer": customer.id,
        "description": intent["description"],
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "invoice": intent["invoice"],
        "metadata": intent["metadata"],
        "outcome": _outcome(decline, risk_score, customer.card.brand),
        "paid": ok,
        "payment_intent": intent["id"],
        "payment_method": customer.payment_method,
        "payment_method_details": _card_details(dice, customer, amount, ok, three_d_secure),
        "receipt_email": intent["receipt_email"],
        "receipt_url": f"https://pay.stripe.com/receipts/payment/{charge_id}" if ok else None,
        "refunds": {**template("charge")["refunds"], "url": f"/v1/charges/{charge_id}/refunds"},
        "status": "succeeded" if ok else "failed",
    }


def billing_details(customer: Customer) -> Json:
    """Build the payer's personal data, as in real webhooks."""
    payer = customer.object
    return {
        "address": payer["address"],
        "email": payer["email"],
        "name": payer["name"],
        "phone": payer["phone"],
        "tax_id": None,
    }


def _outcome(decline: Decline | None, risk_score: int, brand: str) -> Json:
    level = "normal" if risk_score < 65 else "elevated" if risk_score < 75 else "highest"
    outcome = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": level,
        "risk_score": risk_score,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if decline is None:
        return outcome
    blocked = decline is BLOCKED
    error = decline.error(brand, None, {})
    return outcome | {
        "advice_code": error["advice_code"],
        "network_advice_code": error["network_advice_code"],
        "network_decline_code": error["network_decline_code"],
        "network_status": "not_sent_to_network" if blocked else "declined_by_network",
        "reason": decline.decline_code,
        "seller_message": "Stripe blocked this payment." if blocked else "The bank declined it.",
        "type": "blocked" if blocked else "issuer_declined",
    }


def card_facts(customer: Customer) -> Json:
    """Build the card fields that charges and payment methods share."""
    card = customer.card
    return {
        "brand": card.brand,
        "country": card.country,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "fingerprint": card.fingerprint,
        "funding": card.funding,
        "last4": card.last4,
        "wallet": {"dynamic_last4": None, "type": card.wallet} if card.wallet else None,
    }


def _card_details(
    dice: Dice, customer: Customer, amount: int, ok: bool, three_d_secure: str | None
) -> Json:
    details, card = template("charge")["payment_method_details"], customer.card
    example = details["card"]
    mismatch = card.stolen and dice.chance(0.6)
    authenticated = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "result": three_d_secure,
        "transaction_id": dice.text(28),
        "version": "2.2.0",
    }
    return {
        **details,
        "card": {
            **example,
            **card_facts(customer),
            "amount_authorized": amount if ok else None,
            "authorization_code": f"{dice.randrange(10**6):06d}" if ok else None,
            "checks": {
                "address_line1_check": "fail" if mismatch else "pass",
                "address_postal_code_check": "fail" if mismatch else "pass",
                "cvc_check": "fail" if mismatch and dice.chance(0.5) else "pass",
            },
            "installments": None,
            "network": card.brand,
            "network_transaction_id": f"{dice.randrange(10**15):015d}",
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "three_d_secure": (
                {**example["three_d_secure"], **authenticated} if three_d_secure else None
            ),
        },
    }


def payment_method(customer: Customer, now: int) -> Json:
    """Build the payment method of the card on file."""
    example = template("payment_method")
    card = customer.card
    return {
        **example,
        "id": customer.payment_method,
        "billing_details": billing_details(customer),
        "card": {
            **example["card"],
            **card_facts(customer),
            "display_brand": card.brand,
            "generated_from": None,
            "networks": {"available": [card.brand], "preferred": None},
        },
        "created": now,
        "customer": customer.id,
        "metadata": {"order_id": customer.payment_method[-9:]},
    }


def refund(dice: Dice, now: int, charge: Json, amount_minor: int, reason: str | None) -> Json:
    """Build a refund to the card."""
    return {
        **template("refund"),
        "id": dice.id("re"),
        "amount": amount_minor,
        "balance_transaction": dice.id("txn"),
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "payment_intent": charge["payment_intent"],
        "reason": reason,
    }


def with_approved(charge: Json, approved_minor: int) -> Json:
    """Return the part of a charge that says how much the issuer approved."""
    details = charge["payment_method_details"]
    card = {**details["card"], "amount_authorized": approved_minor}
    return {"payment_method_details": {**details, "card": card}}


def dispute(
    dice: Dice, now: int, charge: Json, amount_minor: int, reason: str, *, inquiry: bool
) -> Json:
    """Build a chargeback, or an inquiry, which may come before a chargeback."""
    example = template("dispute")
    brand = charge["payment_method_details"]["card"]["brand"]
    fraud = reason == "fraudulent"
    network_reason = {"visa": "10.4", "mastercard": "4837"} if fraud else {"visa": "13.1"}
    return {
        **example,
        "id": dice.id("du"),
        "amount": amount_minor,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence_details": {
            **example["evidence_details"],
            "due_by": now + _EVIDENCE_DAYS * _DAY_S,
        },
        "is_charge_refundable": inquiry,
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": brand,
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": brand,
                "network_reason_code": network_reason.get(brand, "4853"),
            },
            "type": "card",
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def dispute_movement(
    dice: Dice, now: int, merchant: Merchant, dispute: Json, amount_minor: int
) -> Json:
    """Build the balance transaction of a dispute, in the settlement currency.

    Args:
        dice: source of the id.
        now: Unix time.
        merchant: the merchant, who pays a fee when funds are withdrawn.
        dispute: the dispute, in its own currency.
        amount_minor: funds in the dispute's currency; negative when they are withdrawn.
    """
    amount, rate = settled(merchant, dispute["currency"], amount_minor)
    withdrawn = amount_minor < 0
    fee = minor(merchant.currency, DISPUTE_FEE_USD * CURRENCIES[merchant.currency].per_usd)
    fee = fee if withdrawn else 0
    return {
        **template("balance_transaction"),
        "id": dice.id("txn"),
        "amount": amount,
        "available_on": now,
        "created": now,
        "currency": merchant.currency,
        "description": f"Chargeback {'withdrawal' if withdrawn else 'reversal'}",
        "exchange_rate": rate,
        "fee": fee,
        "fee_details": [],
        "net": amount - fee,
        "reporting_category": "dispute" if withdrawn else "dispute_reversal",
        "source": dispute["id"],
        "type": "adjustment",
    }


def fraud_warning(dice: Dice, now: int, charge: Json) -> Json:
    """Build an early fraud warning of the issuer."""
    return {
        **template("radar.early_fraud_warning"),
        "id": dice.id("issfr"),
        "charge": charge["id"],
        "created": now,
        "fraud_type": dice.choice(("made_with_stolen_card", "fraudulent_card_application", "misc")),
        "payment_intent": charge["payment_intent"],
    }


def review(dice: Dice, now: int, charge: Json, customer: Customer) -> Json:
    """Build a review of a payment by a person."""
    return {
        **template("review"),
        "id": dice.id("prv"),
        "billing_zip": customer.object["address"]["postal_code"],
        "charge": charge["id"],
        "created": now,
        "ip_address": f"203.0.113.{dice.randrange(1, 255)}",
        "payment_intent": charge["payment_intent"],
        "reason": "rule",
    }
