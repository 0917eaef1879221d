"""Customers of the simulated year who pay every month, until they leave or can't pay."""

from typing import Final

from numpy.random import Generator

from payment_pipeline.domain.events import Customer as CustomerEvent
from payment_pipeline.domain.events import Invoice, Subscription

from .book import DAY_S, HOUR_S, Book, Purchase
from .honest_declines import (
    NEEDS_ANOTHER_CARD,
    decline,
    draw_cause,
    recovery_probability,
    retry_delay_s,
)
from .people import Customer, Market
from .shoppers import buy, honest_risk, regret

MONTH_S: Final = 30 * DAY_S
RETRIES_MAX: Final = 4


def subscribe(book: Book, random: Generator, market: Market, customer: Customer) -> None:
    """One subscription's life, month by month."""
    life = _Subscription(book, random, market, customer)
    at_s = customer.joined_s
    life.begin(at_s)
    while at_s < book.end_s:
        if not life.bill(at_s):
            return
        if not customer.unhappy and random.random() < 0.3:
            buy(book, random, customer, at_s + float(random.uniform(3, 25)) * DAY_S)
        if random.random() < life.leaving_probability():
            life.leave(at_s)
            return
        at_s += MONTH_S


class _Subscription:
    def __init__(self, book: Book, random: Generator, market: Market, customer: Customer) -> None:
        self.book, self.random, self.market, self.customer = book, random, market, customer
        self.subscription_id = book.new_id("sub")
        self.amount_minor = customer.minor(customer.merchant.mean_major * customer.spends)
        self.trial = bool(random.random() < 0.25)
        self.months = 0
        self.failed_months = 0

    def begin(self, at_s: float) -> None:
        """The customer signs up, some with a trial."""
        self.book.add(CustomerEvent, "customer.created", at_s, **self._who())
        self._subscription("created", at_s, "trialing" if self.trial else "active")

    def leaving_probability(self) -> float:
        """Of leaving this month, by choice: hidden, but what feeds it shows in events."""
        base = 0.16 if self.customer.unhappy else 0.015
        trial = 0.12 if self.trial and self.months <= 2 else 0.0
        return min(0.9, base + trial + 0.05 * self.failed_months)

    def leave(self, at_s: float) -> None:
        """Some cancel at once, more at the period's end."""
        decided_s = at_s + float(self.random.uniform(2, 26)) * DAY_S
        if self.random.random() < 0.6:
            self._subscription("updated", decided_s, "active", cancel_at_period_end=True)
            decided_s = at_s + MONTH_S
        self._subscription("deleted", decided_s, "canceled")

    def bill(self, at_s: float) -> bool:
        """One month's invoice; whether the subscription lives on."""
        self.months += 1
        if self.trial and self.months == 1:
            return True
        if self.trial and self.months == 2:
            self._subscription("updated", at_s, "active")
        invoice_id = self.book.new_id("in")
        merchant_id = self.customer.merchant.merchant_id
        purchase = Purchase(
            self.book.new_id("pi"), self.customer, merchant_id, self.amount_minor, invoice_id
        )
        self._invoice("created", purchase, at_s)
        self.book.start(purchase, at_s + HOUR_S)
        if self.random.random() < 0.58 + 0.33 * self.customer.reliability:
            self._paid(purchase, at_s + HOUR_S)
            return True
        self.failed_months += 1
        return self._recover(purchase, at_s + HOUR_S, draw_cause(self.random))

    def _recover(self, purchase: Purchase, at_s: float, cause: str) -> bool:
        """Try again after random delays, with another card where the customer gives one."""
        random, customer = self.random, self.customer
        for tries in range(RETRIES_MAX):
            refused = decline(random, cause, customer.card)
            self.book.attempt(purchase, at_s, customer.card, honest_risk(random), refused)
            self._invoice("payment_failed", purchase, at_s, attempt_count=tries + 1)
            if tries == 0:
                self._subscription("updated", at_s, "past_due")
            if cause in NEEDS_ANOTHER_CARD and random.random() < 0.4:
                customer.card = self.market.new_card()
                at_s += float(random.uniform(0.5, 5)) * DAY_S
                recovered = random.random() < 0.88
            else:
                delay_s = retry_delay_s(random, at_s)
                at_s += delay_s
                chance = recovery_probability(
                    cause, delay_s / HOUR_S, at_s, tries, customer.reliability
                )
                recovered = random.random() < chance
            if recovered:
                self._paid(purchase, at_s)
                self._subscription("updated", at_s, "active")
                return True
        self._subscription("deleted", at_s + DAY_S, "canceled")
        return False

    def _paid(self, purchase: Purchase, at_s: float) -> None:
        self.book.attempt(purchase, at_s, self.customer.card, honest_risk(self.random), None)
        self._invoice("paid", purchase, at_s)
        regret(self.book, self.random, purchase, at_s)

    def _invoice(self, what: str, purchase: Purchase, at_s: float, **fields: object) -> None:
        self.book.add(
            Invoice,
            f"invoice.{what}",
            at_s,
            **self._who(),
            **self._amount(),
            status="paid" if what == "paid" else "open",
            amount_paid_minor=self.amount_minor if what == "paid" else 0,
            payment_id=purchase.payment_id,
            object_id=purchase.invoice_id,
            subscription_id=self.subscription_id,
            **fields,
        )

    def _subscription(self, what: str, at_s: float, status: str, **fields: object) -> None:
        self.book.add(
            Subscription,
            f"subscription.{what}",
            at_s,
            **self._who(),
            **self._amount(),
            object_id=self.subscription_id,
            status=status,
            interval="month",
            **{"cancel_at_period_end": False} | fields,
        )

    def _who(self) -> dict[str, object]:
        customer = self.customer
        return {
            "customer_id": customer.customer_id,
            "merchant_id": customer.merchant.merchant_id,
        }

    def _amount(self) -> dict[str, object]:
        customer = self.customer
        return {
            "amount_minor": self.amount_minor,
            "currency": customer.currency,
            "currency_exponent": customer.exponent,
        }
