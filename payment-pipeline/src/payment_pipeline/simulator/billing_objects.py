"""Builders of Stripe objects for billing: subscriptions, invoices, payouts, balances, checkouts.

As in `payment_objects`, each object has the fields of the newest and of the older API versions.
"""

from typing import Final, NamedTuple

from .actors import Customer, Merchant
from .random_source import Dice
from .shapes import Json, template

_DAY_S: Final = 86_400


class Plan(NamedTuple):
    """The price and the interval of a subscription."""

    price: str
    product: str
    currency: str
    unit_amount_minor: int
    quantity: int
    interval: str
    interval_days: int
    trial_days: int

    @property
    def period_s(self) -> int:
        """The length of a billing period in seconds. A month has 30 days here."""
        return self.interval_days * _DAY_S

    @property
    def amount_minor(self) -> int:
        """The price of one period."""
        return self.unit_amount_minor * self.quantity


def subscription(dice: Dice, now: int, customer: Customer, plan: Plan, status: str) -> Json:
    """Build a subscription at its start."""
    subscription_id = dice.id("sub")
    trial_end = now + plan.trial_days * _DAY_S if plan.trial_days else None
    period_end = trial_end or now + plan.period_s
    item = _item(dice, now, subscription_id, plan, period_end)
    return {
        **template("subscription"),
        "id": subscription_id,
        "billing_cycle_anchor": period_end if trial_end else now,
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "created": now,
        "currency": plan.currency,
        "current_period_end": period_end,
        "current_period_start": now,
        "customer": customer.id,
        "default_payment_method": customer.payment_method,
        "items": {
            "object": "list",
            "data": [item],
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={subscription_id}",
        },
        "managed_payments": {"enabled": False},
        "plan": item["plan"],
        "quantity": plan.quantity,
        "start_date": now,
        "status": status,
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
    }


def _item(dice: Dice, now: int, subscription_id: str, plan: Plan, period_end: int) -> Json:
    example = template("subscription")["items"]["data"][0]
    cadence = {"interval": plan.interval, "interval_count": 1}
    named = {"id": plan.price, "product": plan.product, "currency": plan.currency}
    return {
        **example,
        "id": f"si_{dice.text(14)}",
        "billing_thresholds": None,
        "created": now,
        "current_period_end": period_end,
        "current_period_start": now,
        "plan": {
            **example["plan"],
            **named,
            **cadence,
            "amount": plan.unit_amount_minor,
            "amount_decimal": str(plan.unit_amount_minor),
            "billing_scheme": "per_unit",
            "livemode": False,
            "metadata": {},
            "transform_usage": None,
        },
        "price": {
            **example["price"],
            **named,
            "custom_unit_amount": None,
            "recurring": {**example["price"]["recurring"], **cadence},
            "transform_quantity": None,
            "unit_amount": plan.unit_amount_minor,
            "unit_amount_decimal": str(plan.unit_amount_minor),
        },
        "quantity": plan.quantity,
        "subscription": subscription_id,
    }


def next_period(subscription: Json, plan: Plan) -> Json:
    """Return the changes of a renewal, in the fields of the older and the newest API versions."""
    start = subscription["current_period_end"]
    period = {"current_period_start": start, "current_period_end": start + plan.period_s}
    items = subscription["items"]
    return {**period, "items": {**items, "data": [{**items["data"][0], **period}]}}


def invoice(
    dice: Dice, now: int, customer: Customer, subscription: Json, plan: Plan, reason: str
) -> Json:
    """Build the draft invoice of one period. The first invoice of a trial has the amount 0."""
    invoice_id = dice.id("in")
    trial = subscription["status"] == "trialing" and reason == "subscription_create"
    total = 0 if trial else plan.amount_minor
    payer = customer.object
    return {
        **template("invoice"),
        "id": invoice_id,
        "account_country": customer.merchant.country,
        "account_name": customer.merchant.name,
        "amount_due": total,
        "amount_overpaid": 0,
        "amount_remaining": total,
        "auto_advance": True,
        "billing_reason": reason,
        "charge": None,
        "created": now,
        "currency": plan.currency,
        "customer": customer.id,
        "customer_address": payer["address"],
        "customer_email": payer["email"],
        "customer_name": payer["name"],
        "customer_phone": payer["phone"],
        "discount": None,
        "lines": _lines(dice, invoice_id, subscription, plan, total),
        "paid": False,
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": {}, "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "payment_intent": None,
        "payments": _payments(invoice_id, []),
        "period_end": subscription["current_period_start"],
        "period_start": subscription["current_period_start"],
        "subscription": subscription["id"],
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "tax": None,
        "total": total,
        "total_excluding_tax": total,
    }


def _lines(dice: Dice, invoice_id: str, subscription: Json, plan: Plan, total: int) -> Json:
    example = template("invoice")["lines"]["data"][0]
    item = subscription["items"]["data"][0]
    line = {
        **example,
        "id": dice.id("il"),
        "amount": total,
        "currency": plan.currency,
        "description": f"{plan.quantity} x Sample plan",
        "invoice": invoice_id,
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": None,
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"end": item["current_period_end"], "start": item["current_period_start"]},
        "pricing": {
            "price_details": {"price": plan.price, "product": plan.product},
            "type": "price_details",
            "unit_amount_decimal": str(plan.unit_amount_minor),
        },
        "quantity": plan.quantity,
        "subscription": subscription["id"],
        "subtotal": total,
    }
    url = f"/v1/invoices/{invoice_id}/lines"
    return {"object": "list", "data": [line], "has_more": False, "total_count": 1, "url": url}


def _payments(invoice_id: str, payments: list[Json]) -> Json:
    url = f"/v1/invoice_payments?invoice={invoice_id}"
    return {"object": "list", "data": payments, "has_more": False, "url": url}


def invoice_payment(dice: Dice, now: int, invoice: Json, intent: Json, *, paid: bool) -> Json:
    """Return the changes of an attempt, in the fields of the older and the newest API versions."""
    payment = {
        **template("invoice_payment"),
        "id": dice.id("inpay"),
        "amount_paid": invoice["amount_due"] if paid else None,
        "amount_requested": invoice["amount_due"],
        "created": now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "paid" if paid else "open",
        "status_transitions": {"canceled_at": None, "paid_at": now if paid else None},
    }
    return {
        "attempt_count": invoice["attempt_count"] + 1,
        "attempted": True,
        "charge": intent["latest_charge"],
        "payment_intent": intent["id"],
        "payments": _payments(invoice["id"], [payment]),
    }


def payout(dice: Dice, now: int, merchant: Merchant, amount_minor: int) -> Json:
    """Build a payout to the merchant's bank. A negative amount is taken from the bank."""
    return {
        **template("payout"),
        "id": dice.id("po"),
        "amount": amount_minor,
        "arrival_date": now + 2 * _DAY_S,
        "balance_transaction": dice.id("txn"),
        "created": now,
        "currency": merchant.currency,
        "destination": merchant.bank,
        "reconciliation_status": "in_progress",
        "status": "pending",
    }


def balance(merchant: Merchant) -> Json:
    """Build the merchant's balance."""
    example = template("balance")
    funds = {
        "amount": merchant.balance_minor,
        "currency": merchant.currency,
        "source_types": {"card": merchant.balance_minor},
    }
    nothing = {"amount": 0, "currency": merchant.currency}
    return {
        **example,
        "available": [funds],
        "connect_reserved": [nothing],
        "pending": [{**nothing, "source_types": {"card": 0}}],
    }


def checkout_session(dice: Dice, now: int, customer: Customer, intent: Json) -> Json:
    """Build the checkout session of a payment."""
    example = template("checkout.session")
    amount, payer = intent["amount"], customer.object
    return {
        **example,
        "id": f"cs_test_{dice.text(58)}",
        "amount_subtotal": amount,
        "amount_total": amount,
        "created": now,
        "currency": intent["currency"],
        "customer": customer.id,
        "customer_details": {
            **example["customer_details"],
            "address": payer["address"],
            "email": payer["email"],
            "name": payer["name"],
            "phone": payer["phone"],
        },
        "expires_at": now + _DAY_S,
        "payment_intent": intent["id"],
        "payment_status": "paid",
        "status": "complete",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    }
