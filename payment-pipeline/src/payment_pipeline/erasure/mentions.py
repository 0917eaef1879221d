"""Finds a person's ids in texts and in bodies of webhooks.

Bodies are parsed, because JSON may write one id in several ways: with and without escapes.
An id that hardly stands for anything else is also searched inside longer texts, such as
`"Refund for cus_jane."`. Any other id may be a word or a number that means something else: `51`,
`Jane Roe`. Such an id counts only as the whole value of a field that names a customer.
"""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote_plus, unquote, unquote_plus

import orjson

from payment_pipeline.domain.personal_data import is_pseudonym

from .id_patterns import patterns

_DISTINCTIVE: Final = re.compile(
    r"(?=.*[@_])\S{4,}"  # jane@example.com, cus_jane
    r"|(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9.:+-]{4,}"  # member-77
    r"|(?:[^0-9]*[0-9]){7}.*",  # +49 170 1234567
    re.DOTALL,
)
CUSTOMER: Final = "customer"
"""The name of an expanded customer, and the `object` of a customer."""
CUSTOMER_FIELDS: Final = frozenset({CUSTOMER, "customer_id", "customer_account"})
"""Fields with the id of a customer. Fields such as `customer_name` hold other texts."""
_QUOTED: Final = re.compile(rb'"([^"\\\s]{3,255})"')
_ESCAPES: Final = re.compile(r'(?:\\u[0-9A-Fa-f]{4})+|\\["\\/]')


def is_distinctive(of: str) -> bool:
    """Tell whether an id in a longer text can stand for nothing else than the id."""
    return _DISTINCTIVE.fullmatch(of) is not None


class Text(NamedTuple):
    """A text of a body."""

    text: str
    names_a_customer: bool
    """True for the value of a field such as `customer`, and for the id of a customer."""


class Mentions:
    """Recognizes the ids of one person."""

    def __init__(
        self, customers: Collection[str], objects: Collection[str], pseudonym: Callable[[str], str]
    ) -> None:
        """Prepare the search.

        Args:
            customers: the ids of the customer.
            objects: ids of objects that belong to the customer alone.
            pseudonym: returns the pseudonym of a text.
        """
        distinctive = [each for each in customers if is_distinctive(each)]
        self._whole = frozenset((*distinctive, *objects))
        self._customers = frozenset(customers)
        self._objects = frozenset(each.encode() for each in objects)
        self._pseudonym = pseudonym
        known = {pseudonym(each) for each in customers}
        self._hidden = frozenset(filter(is_pseudonym, (*customers, *objects))) - known
        """Ids that replace unknown texts. So each text of a body is hashed and compared."""
        self._inside = re.compile("|".join(patterns(distinctive)) or "(?!)")
        spellings = {spelling(each) for each in customers for spelling in (str, quote_plus)}
        self.spellings = tuple(each.encode() for each in sorted(spellings))
        """A body without escapes that names the customer holds one of these texts."""

    @property
    def needs_every_body(self) -> bool:
        """True if no plain text leads to the bodies, so every body must be parsed."""
        return bool(self._hidden)

    def in_text(self, text: str) -> bool:
        """Tell whether a text names the person."""
        return text in self._whole or self._is_inside(text)

    def in_body(self, body: bytes) -> bool:
        """Tell whether a body is about the person. It need not be JSON."""
        # Most bodies are not, and searching plain bytes is faster than parsing.
        if not self._may_be_in(body):
            return False
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._in_bytes(body)
        return any(map(self._is_theirs, texts(parsed)))

    def _may_be_in(self, body: bytes) -> bool:
        return (
            self.needs_every_body
            or b"\\" in body
            or b"%" in body
            or any(each in body for each in self.spellings)
            or not self._objects.isdisjoint(_QUOTED.findall(body))
        )

    def _in_bytes(self, body: bytes) -> bool:
        """Search a body that is no JSON, for example one that was cut off."""
        text = _unescaped(body.decode(errors="replace"))
        return (
            self._is_inside(text)
            or any(f'"{each}"' in text for each in self._customers)
            or not self._objects.isdisjoint(_QUOTED.findall(body))
        )

    def _is_theirs(self, found: Text) -> bool:
        text = found.text
        if self.in_text(text) or (found.names_a_customer and text in self._customers):
            return True
        if not self._hidden:
            return False
        behind = self._pseudonym(text)
        is_their_id = found.names_a_customer or is_distinctive(text)
        return behind in self._hidden and (is_their_id or behind.encode() in self._objects)

    def _is_inside(self, text: str) -> bool:
        found = self._inside.search
        if found(text):
            return True
        # The id may stand in a URL.
        return "%" in text and bool(found(unquote(text)) or found(unquote_plus(text)))


def texts(parsed: object) -> Iterator[Text]:
    """Yield every text of a parsed body, keys included.

    It is a loop because a body may be deeper than Python's stack.
    """
    left: list[tuple[str, object, bool]] = [("", parsed, False)]
    while left:
        name, value, in_customer = left.pop()
        if isinstance(value, str):
            yield Text(value, name in CUSTOMER_FIELDS or (name == "id" and in_customer))
        elif isinstance(value, list):
            left.extend((name, each, in_customer) for each in value)
        elif isinstance(value, dict):
            is_customer = name == CUSTOMER or value.get("object") == CUSTOMER
            for key, each in value.items():
                yield Text(key, names_a_customer=False)
                left.append((key, each, is_customer))


def _unescaped(text: str) -> str:
    """Replace the escapes of JSON that may stand in an id."""

    def read(found: re.Match[str]) -> str:
        escape = found[0]
        if not escape.startswith("\\u"):
            return escape[1:]
        units = b"".join(int(each, 16).to_bytes(2, "big") for each in escape.split("\\u")[1:])
        return units.decode("utf-16-be", errors="replace")

    return _ESCAPES.sub(read, text)
