"""Customers of the simulated year who come back when they like."""

from numpy.random import Generator

from .book import DAY_S, Book, Purchase
from .declines import decline, draw_cause, recovery_probability
from .people import Customer, Market


def shop(book: Book, random: Generator, _: Market, customer: Customer) -> None:
    """Purchases at irregular intervals until the year's end."""
    at_s = customer.joined_s
    pause_days = float(random.uniform(12, 45))
    while at_s < book.end_s:
        buy(book, random, customer, at_s)
        at_s += float(random.exponential(pause_days)) * DAY_S + 600


def buy(book: Book, random: Generator, customer: Customer, at_s: float) -> None:
    """One purchase: tried again at once by half of those refused, now and then given back."""
    spread = float(random.lognormal(0.0, 0.5))
    amount_minor = customer.minor(customer.merchant.mean_major * customer.spends * spread)
    purchase = Purchase(
        book.new_id("pi"), customer, customer.merchant.merchant_id, amount_minor, None
    )
    book.start(purchase, at_s)
    tries = 0
    while random.random() > 0.90 + 0.09 * customer.reliability:
        cause = draw_cause(random)
        refused = decline(random, cause, customer.card)
        book.attempt(purchase, at_s + 5, customer.card, honest_risk(random), refused)
        tries += 1
        if tries > 2 or random.random() < 0.5:
            return
        at_s += float(random.uniform(60, 900))
        if random.random() > 0.3 + recovery_probability(cause, 0.1, at_s, tries, 1.0):
            return
    book.attempt(purchase, at_s + 5, customer.card, honest_risk(random), None)
    regret(book, random, purchase, at_s)


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
