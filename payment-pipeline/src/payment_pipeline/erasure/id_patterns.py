"""A regular expression that finds an id in a text, but not a longer id that contains it.

The same expression searches bytes on Kafka, PostgreSQL, the lake's files and Temporal's histories.
It uses only what Python, PostgreSQL and RE2 understand. RE2 has no lookahead and no lookbehind.
"""

import re
from collections.abc import Iterable
from typing import Final

_OF_AN_ID: Final = "A-Za-z0-9_@+.:-"
"""Characters that continue an id: the ones in ids, and `@` and `+` of e-mail addresses."""
_BEFORE: Final = r"^|[^{}]|%[0-9A-Fa-f]{{2}}|\\[bfnrt]|\\u[0-9A-Fa-f]{{4}}|\\[0-7]{{3}}"
"""An escape of a URL, of JSON or of bytes as text ends in characters that look like an id."""
_PUNCTUATION: Final = "[.:-]*"
"""Part of an id only if more characters follow: an id may end a sentence."""


def pattern(*ids: str) -> str:
    """Return the expression that finds one of the ids, and no longer id that contains it.

    Letters outside ASCII continue an id only if one of the ids has such letters too. Otherwise they
    belong to the text around the id.
    """
    more = _OF_AN_ID if all(map(str.isascii, ids)) else rf"\w{_OF_AN_ID}"
    before, after = _BEFORE.format(more), rf"$|[^{more}]"
    one = "|".join(map(re.escape, ids))
    return f"(?:{before}){_PUNCTUATION}(?:{one}){_PUNCTUATION}(?:{after})"


def patterns(ids: Iterable[str]) -> tuple[str, ...]:
    """Return expressions that together find each of the ids, as `pattern` does."""
    given = [*ids]
    of_ascii = [each for each in given if each.isascii()]
    others = [each for each in given if not each.isascii()]
    return tuple(pattern(*each) for each in (of_ascii, others) if each)
