"""A person to erase: the ids and names that find the person in bytes, rows and histories."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5
from typing import Final

from payment_pipeline.domain.failures import UserError

from .id_patterns import pattern

_CUSTOMER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{3,254}", re.ASCII)
"""Shorter ids would match too much. Other characters are in no provider's id."""
_QUOTED: Final = re.compile(rb'"([^"\\\s]{3,255})"')


@dataclass(frozen=True)
class Person:
    """A provider's customer, and the ids that belong to that customer only."""

    provider: str
    customer_id: str
    objects: frozenset[str] = frozenset()
    """Ids of the customer's payments, charges, invoices and subscriptions. A body about one of them
    may contain an address without the customer's id, for example the evidence of a dispute."""
    payments: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    """Keyed hashes of cards. Other customers may have used the same card."""
    workflows: tuple[str, ...] = ()
    """The workflows that wrote the customer's rows."""
    _objects: frozenset[bytes] = field(init=False, repr=False)
    _named: re.Pattern[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        objects = frozenset(each.encode() for each in self.objects)
        object.__setattr__(self, "_objects", objects)
        object.__setattr__(self, "_named", re.compile(pattern(self.customer_id).encode()))

    @property
    def ids(self) -> list[str]:
        """The ids of the customer and of the customer's objects, for a query."""
        return [self.customer_id, *sorted(self.objects)]

    @property
    def names(self) -> tuple[str, ...]:
        """The texts that must be nowhere at the end: the id, and the key of the marts for it."""
        return self.customer_id, surrogate_key((self.provider, self.customer_id))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The expressions that find the names, and no longer names that contain them."""
        return tuple(map(pattern, self.names))

    def is_in(self, body: bytes) -> bool:
        """Tell whether bytes are about the person. They need not be JSON."""
        return self.is_named_in(body) or not self._objects.isdisjoint(_QUOTED.findall(body))

    def is_named_in(self, body: bytes) -> bool:
        """Tell whether bytes contain the customer's id."""
        # Most bodies do not, and searching a plain text is faster.
        return self.customer_id.encode() in body and self._named.search(body) is not None


def checked(customer_id: str) -> str:
    """Return the customer id if it is valid.

    Raises:
        UserError: no provider has such an id.
    """
    if not _CUSTOMER.fullmatch(customer_id):
        raise UserError(
            f"{customer_id!r} is not a customer id: 4 to 255 characters of A-Za-z0-9_.:-"
        )
    return customer_id


def surrogate_key(parts: Iterable[str]) -> str:
    """As the dbt macro of that name makes it; a test holds one against the other."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return md5(text.encode(), usedforsecurity=False).hexdigest()
