"""Persons to erase, with the pseudonym key of the tests."""

from typing import Final

from payment_pipeline.erasure.person import Person

KEY: Final = b"test"


def person(customer_id: str, *objects: str) -> Person:
    """Return Stripe's customer with this id, and with these objects."""
    return Person("stripe", customer_id, KEY, frozenset(objects))
