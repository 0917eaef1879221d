"""A person to erase: the ids and names that find the person in bytes, rows and histories."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5
from typing import Final

from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.personal_data import pseudonym

from .id_patterns import patterns
from .mentions import Mentions, is_distinctive

CHARACTERS_MAX: Final = 255
"""The normalizer accepts no longer id."""
NO_IDS: Final = frozenset({"", "null"})
"""Texts that the normalizer reads as no id."""


@dataclass(frozen=True)
class Person:
    """A provider's customer, and the ids that belong to that customer only."""

    provider: str
    customer_id: str
    """The id at the provider, or the pseudonym that the pipeline stores instead of it."""
    pseudonym_key: bytes = field(repr=False)
    objects: frozenset[str] = frozenset()
    """Ids of the customer's payments, charges, invoices and subscriptions. A body about one of them
    may contain an address without the customer's id, for example the evidence of a dispute."""
    payments: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    """Keyed hashes of cards. Other customers may have used the same card."""
    workflows: tuple[str, ...] = ()
    """The workflows that wrote the customer's rows."""
    scopes: frozenset[tuple[str, bool]] = frozenset()
    """The merchants, and whether live or test, under which the marts may have the customer."""
    _in_bodies: Mentions = field(init=False, repr=False, compare=False)
    _by_name: Mentions = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, objects in (("_in_bodies", self.objects), ("_by_name", frozenset[str]())):
            found = Mentions(self.customer_ids, objects, self._pseudonym)
            object.__setattr__(self, name, found)

    @property
    def customer_ids(self) -> list[str]:
        """The id of the customer in the raw store, and its pseudonym.

        A row has the id itself if the id may leave the raw store, or if an older version wrote it.
        """
        return [self.customer_id, self._pseudonym(self.customer_id)]

    @property
    def names(self) -> tuple[str, ...]:
        """The texts that must be nowhere behind the normalizer at the end.

        They are the ids, and the keys of the marts for them. An id that may mean something else is
        left out: bronze is searched for it by column, and the marts by their key.
        """
        scopes = [(merchant, str(live).lower()) for merchant, live in sorted(self.scopes)]
        keys = [
            surrogate_key((self.provider, *scope, each))
            for each in self.customer_ids
            for scope in ((), *scopes)  # without a scope, in marts of an older version
        ]
        return (*filter(is_distinctive, self.customer_ids), *keys)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The expressions that find the names, and no longer names that contain them."""
        return patterns(self.names)

    @property
    def id_patterns(self) -> tuple[str, ...]:
        """The expressions that find the names that bronze may have: all but the marts' keys."""
        return patterns(filter(is_distinctive, self.customer_ids))

    @property
    def bytes_in_bodies(self) -> list[bytes]:
        """Texts of which each body without escapes that is about the person has one."""
        if self._in_bodies.needs_every_body:
            return [b""]
        return [*self._in_bodies.spellings, *(each.encode() for each in sorted(self.objects))]

    def is_in(self, body: bytes) -> bool:
        """Tell whether bytes are about the person. They need not be JSON."""
        return self._in_bodies.in_body(body)

    def is_key(self, key: bytes) -> bool:
        """Tell whether the key of a record is an id of the person."""
        text = key.decode(errors="replace")
        return text in self.customer_ids or self._in_bodies.in_text(text)

    def is_named_in(self, body: bytes) -> bool:
        """Tell whether bytes contain the customer's id."""
        return self._by_name.in_body(body)

    def is_named_in_text(self, text: str) -> bool:
        """Tell whether a text contains the customer's id."""
        return self._by_name.in_text(text)

    def _pseudonym(self, text: str) -> str:
        return pseudonym(text, self.pseudonym_key)


def checked(customer_id: str) -> str:
    """Return the customer id if the normalizer accepts it.

    Raises:
        UserError: no customer can have this id.
    """
    if customer_id in NO_IDS or len(customer_id) > CHARACTERS_MAX or not _is_storable(customer_id):
        raise UserError(
            f"{customer_id!r} can't be a customer's id: an id is a text of 1 to {CHARACTERS_MAX} "
            "characters."
        )
    return customer_id


def surrogate_key(parts: Iterable[str]) -> str:
    """As the dbt macro of that name makes it; a test holds one against the other."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def _is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can store a text: a terminal may pass bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
