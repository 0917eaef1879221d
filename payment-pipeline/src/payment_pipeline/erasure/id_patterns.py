"""Where does an id in a text begin and end? A longer one that holds it is somebody else's.

One regular expression for bytes on Kafka, PostgreSQL, the lake's files and Temporal's histories: it
keeps to what Python, PostgreSQL and RE2, which looks neither ahead nor behind, all understand.
"""

import re
from typing import Final

_OF_AN_ID: Final = "A-Za-z0-9_@+.:-"
"""What an id goes on with: what ids are made of, and what makes an address of one."""
_BEFORE: Final = rf"^|[^{_OF_AN_ID}]|%[0-9A-Fa-f]{{2}}|\\[bfnrt]|\\u[0-9A-Fa-f]{{4}}|\\[0-7]{{3}}"
"""An escape ends in what looks like a part of an id: a URL's, JSON's, and that of bytes as text."""
_PUNCTUATION: Final = "[.:-]*"
"""Goes on only if something follows: an id may end a sentence."""


def pattern(of: str) -> str:
    """What finds an id, and no longer one."""
    return f"(?:{_BEFORE}){_PUNCTUATION}{re.escape(of)}{_PUNCTUATION}(?:$|[^{_OF_AN_ID}])"
