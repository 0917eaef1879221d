"""A seeded year of payments to learn from where there is no history yet.

Not the simulator, which tests the pipeline with a provider's own bytes: this makes `PaymentEvent`s
directly and is drawn so that the past says something about the future. What the models should find
is hidden in it: fraud rings and stolen cards, customers about to leave, and declines that recover
for a reason (money comes on payday, an issuer is back in an hour, a lost card never works again).
What they learn from is only what events show, and labels come from later events, as in real life.
"""

from typing import Final

import numpy as np

from payment_pipeline.domain.events import PaymentEvent

from .book import Book
from .people import Market
from .rings import card_rings, lone_thieves
from .shoppers import shop
from .subscribers import subscribe

DAYS: Final = 365
CUSTOMERS: Final = 3000
SUBSCRIBER_SHARE: Final = 0.6
RINGS: Final = 100


def simulated(seed: int, customers: int = CUSTOMERS) -> list[PaymentEvent]:
    """A year's events of a market, in the order they happened; the same seed gives the same year.

    About 45 events a customer; `customers` below a few hundred leaves too few labels to train on.
    """
    random = np.random.default_rng(seed)
    book = Book(days=DAYS)
    market = Market(random, customers, DAYS)
    for index, customer in enumerate(market.customers):
        live = subscribe if index < customers * SUBSCRIBER_SHARE else shop
        live(book, random, market, customer)
    scale = customers / CUSTOMERS
    card_rings(book, random, market, round(RINGS * scale))
    lone_thieves(book, random, market, round(4 * RINGS * scale))
    return book.in_order()
