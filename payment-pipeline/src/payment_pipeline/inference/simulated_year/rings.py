"""Fraud in the simulated year: rings that test stolen cards in bursts, and single thefts."""

from typing import Final

from numpy.random import Generator

from payment_pipeline.domain.declines import classified
from payment_pipeline.domain.event_parts import Decline
from payment_pipeline.providers.stripe.decline_codes import REASONS

from .book import DAY_S, HOUR_S, Book, Purchase
from .people import Card, Market, pick

REPORTED: Final = 0.85
"""How often the cardholder notices and says so within the window of the label."""


def card_rings(book: Book, random: Generator, market: Market, rings: int) -> None:
    """Fresh accounts, many cards passed around, a few hours of attempts at one merchant."""
    for ring in range(rings):
        start_s = float(random.uniform(5 * DAY_S, book.end_s))
        merchant = market.merchants[int(random.integers(len(market.merchants)))]
        accounts = [
            market.new_customer(
                f"cus_r{ring}_{index}", merchant, start_s - float(random.uniform(0, DAY_S))
            )
            for index in range(int(random.integers(2, 6)))
        ]
        cards = [_stolen(random, market) for _ in range(int(random.integers(6, 20)))]
        at_s = start_s
        for _ in range(int(random.integers(15, 45))):
            at_s += float(random.exponential(0.12)) * HOUR_S
            customer = accounts[int(random.integers(len(accounts)))]
            amount_minor = customer.minor(merchant.mean_major * float(random.lognormal(0.7, 0.6)))
            purchase = Purchase(book.new_id("pi"), customer, merchant.merchant_id, amount_minor)
            card = cards[int(random.integers(len(cards)))]
            _steal(book, random, purchase, at_s, card, accepted=0.4, risk_mean=52)


def lone_thieves(book: Book, random: Generator, market: Market, thefts: int) -> None:
    """One purchase in an honest customer's account, with a card that isn't theirs."""
    for _ in range(thefts):
        customer = market.customers[int(random.integers(len(market.customers)))]
        at_s = float(random.uniform(customer.joined_s, book.end_s))
        worth = customer.merchant.mean_major * float(random.lognormal(0.9, 0.6))
        purchase = Purchase(
            book.new_id("pi"), customer, customer.merchant.merchant_id, customer.minor(worth)
        )
        card = _stolen(random, market)
        _steal(book, random, purchase, at_s, card, accepted=0.75, risk_mean=36)


def _stolen(random: Generator, market: Market) -> Card:
    """A third are cards that honest customers pay with too; the rest was never seen."""
    if random.random() < 0.33:
        card = market.customers[int(random.integers(len(market.customers)))].card
    else:
        card = market.new_card(prepaid=0.2)
    return card._replace(
        in_wallet=False,
        cvc_check=pick(random, ("pass", "fail", "unchecked"), (0.5, 0.35, 0.15)),
        postal_code_check=pick(random, ("pass", "fail"), (0.55, 0.45)),
    )


def _steal(
    book: Book,
    random: Generator,
    purchase: Purchase,
    at_s: float,
    card: Card,
    *,
    accepted: float,
    risk_mean: float,
) -> None:
    book.start(purchase, at_s)
    risk = int(min(99, max(0, random.normal(risk_mean, 20))))
    if random.random() > accepted:
        cause = pick(random, ("do_not_honor", "stolen_card", "incorrect_cvc"), (0.6, 0.15, 0.25))
        refused = Decline(**classified(REASONS[cause]), code="card_declined", decline_code=cause)
        book.attempt(purchase, at_s + 4, card, risk, refused)
        return
    book.attempt(purchase, at_s + 4, card, risk, None)
    if random.random() > REPORTED:
        return
    if random.random() < 0.5:
        book.fraud_warning(purchase, at_s + float(random.uniform(1, 12)) * DAY_S)
    if random.random() < 0.7:
        book.dispute(purchase, at_s + float(random.uniform(4, 28)) * DAY_S, "fraudulent")
