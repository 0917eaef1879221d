"""By what is a person known here: which texts lead to them, in bytes, rows and histories?"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5
from typing import Final

from payment_pipeline.domain.failures import UserError

from .id_patterns import pattern

_CUSTOMER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{3,254}", re.ASCII)
"""Shorter ones would be found in everything; others no provider's id may have."""
_QUOTED: Final = re.compile(rb'"([^"\\\s]{3,255})"')


@dataclass(frozen=True)
class Person:
    """A provider's customer, and what is theirs alone."""

    provider: str
    customer_id: str
    objects: frozenset[str] = frozenset()
    """Ids of their payments, charges, invoices and subscriptions: bodies about one of them may hold
    an address without naming the customer, as a dispute's evidence does."""
    payments: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    """Keyed hashes; others may have used the same card."""
    workflows: tuple[str, ...] = ()
    """That wrote their rows."""
    _objects: frozenset[bytes] = field(init=False, repr=False)
    _named: re.Pattern[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        objects = frozenset(each.encode() for each in self.objects)
        object.__setattr__(self, "_objects", objects)
        object.__setattr__(self, "_named", re.compile(pattern(self.customer_id).encode()))

    @property
    def ids(self) -> list[str]:
        """The customer's own and their objects', for a query."""
        return [self.customer_id, *sorted(self.objects)]

    @property
    def names(self) -> tuple[str, ...]:
        """What must be found nowhere at the end: the id, and the marts' key that is made of it."""
        return self.customer_id, surrogate_key((self.provider, self.customer_id))

    @property
    def patterns(self) -> tuple[str, ...]:
        """What finds the names, and no longer ones."""
        return tuple(map(pattern, self.names))

    def is_in(self, body: bytes) -> bool:
        """Whether bytes are about the person, JSON or not."""
        return self.is_named_in(body) or not self._objects.isdisjoint(_QUOTED.findall(body))

    def is_named_in(self, body: bytes) -> bool:
        """Whether bytes hold the customer's own id."""
        # Most bodies don't, and to look for a text is the faster question.
        return self.customer_id.encode() in body and self._named.search(body) is not None


def checked(customer_id: str) -> str:
    """The id, if it is one.

    Raises:
        UserError: no provider's id reads so.
    """
    if not _CUSTOMER.fullmatch(customer_id):
        raise UserError(
            f"{customer_id!r} is no customer's id: give the provider's, 4 to 255 of A-Za-z0-9_.:-"
        )
    return customer_id


def surrogate_key(parts: Iterable[str]) -> str:
    """As the dbt macro of that name makes it; a test holds one against the other."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return md5(text.encode(), usedforsecurity=False).hexdigest()
