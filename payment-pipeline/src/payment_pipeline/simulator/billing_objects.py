"""Builders of Stripe objects for billing: subscriptions, invoices, payouts, balances, checkouts.

As in `payment_objects`, each object has the fields of the newest and of the older API versions.
"""

from fractions import Fraction
from typing import Final, NamedTuple

from .actors import Customer, Merchant
from .currencies import whole_steps
from .random_source import Dice
from .shapes import Json, template

_DAY_S: Final = 86_400
_PERIOD_S: Final = {"month": 30 * _DAY_S, "year": 365 * _DAY_S}
_TIMES_A_MONTH: Final = {"week": Fraction(52, 12), "month": Fraction(1), "year": Fraction(1, 12)}


class Coupon(NamedTuple):
    """What a coupon takes off the bills of a subscription."""

    duration: str
    """Stripe's word: forever, repeating or once."""
    percent_off: int | None = None
    amount_off_minor: int | None = None
    months: int | None = None
    """How long a repeating coupon holds. A month has 30 days here."""

    def holds(self, age_s: float) -> bool:
        """Whether it reduces more than one bill, and the bills at this age of the subscription."""
        if self.duration == "once":
            return False
        return self.months is None or age_s < self.months * 30 * _DAY_S

    def left_of(self, amount: Fraction) -> Fraction:
        """Return what is left of the amount of a bill."""
        if self.percent_off is not None:
            return amount * (100 - self.percent_off) / 100
        return max(amount - (self.amount_off_minor or 0), Fraction(0))


class Addition(NamedTuple):
    """A second item of a subscription."""

    price: str
    product: str
    unit_amount_minor: int | None
    """`None` for tiers."""
    interval: str = "month"
    is_metered: bool = False

    @property
    def is_known(self) -> bool:
        """Whether its amount is known in advance."""
        return self.unit_amount_minor is not None and not self.is_metered


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
    addition: Addition | None = None
    coupon: Coupon | None = None
    """Only on a plan that is billed each month."""

    @property
    def period_s(self) -> int:
        """The length of a billing period in seconds. A month has 30 days here."""
        return self.interval_days * _DAY_S

    @property
    def amount_minor(self) -> int:
        """The list price of one period, without the second item."""
        return self.unit_amount_minor * self.quantity

    def bill_minor(self, *, is_first: bool) -> int:
        """Return the amount of a bill. The first bill has what is billed once a year."""
        amount = self.amount_minor
        if is_first and self.addition and self.addition.is_known:
            amount += self.addition.unit_amount_minor or 0
        if self.coupon and (is_first or self.coupon.duration != "once"):
            amount = whole_steps(self.currency, self.coupon.left_of(Fraction(amount)))
        return amount

    def monthly_minor(self, age_s: float) -> Fraction:
        """Return what is billed in a month, as far as it is known, at an age of the subscription.

        A year has 12 months and 52 weeks.
        """
        amount = self.amount_minor * _TIMES_A_MONTH[self.interval]
        if self.addition and self.addition.is_known:
            each = self.addition.unit_amount_minor or 0
            amount += each * _TIMES_A_MONTH[self.addition.interval]
        if self.coupon and self.coupon.holds(age_s):
            amount = self.coupon.left_of(amount)
        return amount


def subscription(dice: Dice, now: int, customer: Customer, plan: Plan, status: str) -> Json:
    """Build a subscription at its start."""
    subscription_id = dice.id("sub")
    trial_end = now + plan.trial_days * _DAY_S if plan.trial_days else None
    period_end = trial_end or now + plan.period_s
    item = _item(dice, now, subscription_id, plan, period_end)
    items = [item]
    if plan.addition:
        items.append(_second_item(dice, item, plan.addition))
    discount = _discount(dice, now, customer, subscription_id, plan) if plan.coupon else None
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
        "discount": discount,
        "discounts": [discount["id"]] if discount else [],
        "items": {
            "object": "list",
            "data": items,
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


def _second_item(dice: Dice, first: Json, addition: Addition) -> Json:
    """Build the second item from the first one. Usage and tiers have no quantity."""
    amount = addition.unit_amount_minor
    price = {
        "id": addition.price,
        "product": addition.product,
        "billing_scheme": "per_unit" if amount is not None else "tiered",
    }
    usage = "metered" if addition.is_metered else "licensed"
    cadence = {"interval": addition.interval, "usage_type": usage}
    decimal = None if amount is None else str(amount)
    period = first["current_period_start"] + _PERIOD_S[addition.interval]
    plan = {"amount": amount, "amount_decimal": decimal, "tiers_mode": None, **cadence}
    recurring = {**first["price"]["recurring"], **cadence}
    unit = {"unit_amount": amount, "unit_amount_decimal": decimal, "recurring": recurring}
    item = {
        **first,
        "id": f"si_{dice.text(14)}",
        "current_period_end": period,
        "plan": {**first["plan"], **price, **plan},
        "price": {**first["price"], **price, **unit},
        "quantity": 1,
    }
    if addition.is_metered:
        del item["quantity"]
    return item


def _discount(dice: Dice, now: int, customer: Customer, subscription_id: str, plan: Plan) -> Json:
    """Build the discount of a subscription with a coupon."""
    coupon = plan.coupon
    if coupon is None:
        raise ValueError("The plan has no coupon.")
    coupon_id = dice.text(8).upper()
    return {
        **template("discount"),
        "id": dice.id("di"),
        "coupon": {
            **template("coupon"),
            "id": coupon_id,
            "amount_off": coupon.amount_off_minor,
            "created": now,
            "currency": plan.currency if coupon.amount_off_minor else None,
            "duration": coupon.duration,
            "duration_in_months": coupon.months,
            "name": "Sample coupon",
            "percent_off": None if coupon.percent_off is None else float(coupon.percent_off),
        },
        "customer": customer.id,
        "end": now + coupon.months * 30 * _DAY_S if coupon.months else None,
        "source": {"coupon": coupon_id, "type": "coupon"},
        "start": now,
        "subscription": subscription_id,
    }


def next_period(subscription: Json, plan: Plan) -> Json:
    """Return the changes of a renewal, in the fields of the older and the newest API versions."""
    start = subscription["current_period_end"]
    period = {"current_period_start": start, "current_period_end": start + plan.period_s}
    items = subscription["items"]
    first, *others = items["data"]
    return {**period, "items": {**items, "data": [{**first, **period}, *others]}}


def invoice(
    dice: Dice, now: int, customer: Customer, subscription: Json, plan: Plan, reason: str
) -> Json:
    """Build the draft invoice of one period. The first invoice of a trial has the amount 0."""
    invoice_id = dice.id("in")
    trial = subscription["status"] == "trialing" and reason == "subscription_create"
    total = 0 if trial else plan.bill_minor(is_first=reason == "subscription_create")
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
