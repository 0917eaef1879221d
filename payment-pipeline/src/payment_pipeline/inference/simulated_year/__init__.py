"""A seeded, simulated year of payments: the training data while there is no real history.

The package `simulator` tests the pipeline with webhook bodies. This package makes `PaymentEvent`s
directly, with patterns for the models to find: fraud rings and stolen cards, customers who are
about to leave, and declines that recover for a reason (money arrives on payday, an issuer is back
in an hour, a lost card never works again). The models see only the events. Labels come from later
events.
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
    """Return a year of events in chronological order. The same seed gives the same year.

    A customer has about 45 events. Fewer than a few hundred `customers` give too few labels.
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
