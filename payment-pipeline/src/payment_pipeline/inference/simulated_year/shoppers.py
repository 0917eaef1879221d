"""Customers of the simulated year who buy at irregular intervals."""

from typing import Final

from numpy.random import Generator

from .book import DAY_S, HOUR_S, Book, Purchase
from .honest_declines import decline, draw_cause, recovery_probability, retry_delay_s
from .people import Customer, Market

TRIES_MAX: Final = 4


def shop(book: Book, random: Generator, _: Market, customer: Customer) -> None:
    """Purchases at irregular intervals until the year's end."""
    at_s = customer.joined_s
    pause_days = float(random.uniform(12, 45))
    while at_s < book.end_s:
        buy(book, random, customer, at_s)
        at_s += float(random.exponential(pause_days)) * DAY_S + 600


def buy(book: Book, random: Generator, customer: Customer, at_s: float) -> None:
    """One purchase; if refused, the person tries again at once or the merchant later."""
    spread = float(random.lognormal(0.0, 0.5))
    amount_minor = customer.minor(customer.merchant.mean_major * customer.spends * spread)
    purchase = Purchase(
        book.new_id("pi"), customer, customer.merchant.merchant_id, amount_minor, None
    )
    book.start(purchase, at_s)
    at_s += 5
    paid, cause = random.random() < 0.80 + 0.17 * customer.reliability, draw_cause(random)
    for tries in range(TRIES_MAX):
        if paid:
            book.attempt(purchase, at_s, customer.card, honest_risk(random), None)
            regret(book, random, purchase, at_s)
            return
        refused = decline(random, cause, customer.card)
        book.attempt(purchase, at_s, customer.card, honest_risk(random), refused)
        at_once = random.random() < 0.3
        wait_s = float(random.uniform(60, 900)) if at_once else retry_delay_s(random, at_s)
        at_s += wait_s
        chance = recovery_probability(cause, wait_s / HOUR_S, at_s, tries, customer.reliability)
        paid = random.random() < chance


def regret(book: Book, random: Generator, purchase: Purchase, at_s: float) -> None:
    """What honest customers do later: refunds, and a few disputes that are no fraud or claim it."""
    if random.random() < 0.03:
        book.refund(purchase, at_s + float(random.uniform(1, 20)) * DAY_S)
    elif random.random() < 0.0015 * purchase.customer.merchant.disputes:
        reason = "fraudulent" if random.random() < 0.4 else "product_not_received"
        book.dispute(purchase, at_s + float(random.uniform(5, 28)) * DAY_S, reason)


def honest_risk(random: Generator) -> int:
    """The provider's risk score of an honest attempt: low, sometimes wrongly high."""
    return int(min(99, max(0, random.normal(18, 13) + (25 if random.random() < 0.05 else 0))))
