"""Decides which texts of a provider may leave the raw store, and replaces the others.

A text of a webhook may hold anything: merchants use e-mail addresses, phone numbers and card
numbers as customer ids, and hostile senders write names into decline codes. So the form of a text
decides, and never its field alone:

- An **id** stays if it has the provider's own format, e.g. Stripe's `cus_…` with random characters.
  Of the ids that merchants choose, only two forms stay: one word and a number of at most six digits
  (`member-77`), and a UUID. Every other id becomes its pseudonym.
- A **label**, which a merchant gives to a thing and not to a person (a coupon), stays if it has at
  most 32 ASCII letters, digits, `-` and `_`, and fewer than seven digits. Every other label becomes
  its pseudonym.
- An **event type** stays if it is words in lower case, joined by dots and underscores.
- A **code** stays if it is a word in lower case with underscores, a short code of a card network or
  a bank (`51`, `10.4`, `R01`), an ISO code (`DE`), or a version of an API. Every other text in the
  place of a code is free text, and is dropped.

A custom id (except a UUID), a label, an event type or a code has fewer than seven digits, so card
numbers, phone numbers and IBANs are never kept, and neither are IP addresses, e-mail addresses, or
names with a space or a capital. A single word in lower case can't be told from a code.

A pseudonym is a keyed hash (HMAC-SHA256). Equal texts have equal pseudonyms, so joins still hold.
"""

import hmac
import re
from typing import Final

PSEUDONYM_CHARACTERS: Final = 32
"""128 bits in hexadecimal, so no two texts collide."""

_FEWER_THAN_SEVEN_DIGITS: Final = r"(?!(?:[^0-9]*[0-9]){7})"
_CUSTOM_ID: Final = re.compile(
    r"[A-Za-z]{2,16}[-_]?[0-9]{1,6}"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.ASCII,
)
_LABEL: Final = re.compile(rf"{_FEWER_THAN_SEVEN_DIGITS}[A-Za-z0-9][A-Za-z0-9_-]{{0,31}}")
_EVENT_TYPE: Final = re.compile(
    rf"{_FEWER_THAN_SEVEN_DIGITS}[a-z][a-z0-9_]{{0,63}}(?:\.[a-z0-9_]{{1,64}}){{0,7}}"
)
_CODE: Final = re.compile(
    rf"{_FEWER_THAN_SEVEN_DIGITS}"
    r"(?:[a-z][a-z0-9_]{0,63}"  # insufficient_funds
    r"|[A-Z0-9]{1,3}|[A-Z]{1,4}[0-9]{1,4}|[0-9]{4}"  # 51, N7, DE, R01, UA02, 4837
    r"|[0-9]{1,2}\.[0-9]{1,2})"  # 10.4
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:\.[a-z]{1,32})?"  # 2025-03-31.basil
)
_PSEUDONYM: Final = re.compile(rf"[0-9a-f]{{{PSEUDONYM_CHARACTERS}}}")
NO_FORMAT: Final = re.compile(r"(?!)")
"""The id format of a provider that has none: it matches nothing."""


def pseudonym(text: str, key: bytes) -> str:
    """Return the keyed hash that replaces a text. Equal texts have equal hashes."""
    return hmac.digest(key, text.encode(), "sha256").hex()[:PSEUDONYM_CHARACTERS]


def is_pseudonym(text: str) -> bool:
    """Tell whether a text has the form of a pseudonym."""
    return _PSEUDONYM.fullmatch(text) is not None


def is_plain_id(text: str, own_format: re.Pattern[str]) -> bool:
    """Tell whether an id may leave the raw store as it is.

    Args:
        text: the id.
        own_format: matches the ids that the provider itself makes.
    """
    return own_format.fullmatch(text) is not None or _CUSTOM_ID.fullmatch(text) is not None


def is_plain_label(text: str) -> bool:
    """Tell whether a label may leave the raw store as it is."""
    return _LABEL.fullmatch(text) is not None


def is_event_type(text: str) -> bool:
    """Tell whether a text is the type of an event."""
    return _EVENT_TYPE.fullmatch(text) is not None


def is_code(text: str) -> bool:
    """Tell whether a text is a code, and no free text."""
    return _CODE.fullmatch(text) is not None
