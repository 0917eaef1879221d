"""Escapes foreign text before it is printed to a terminal.

An event's id, an error's path or a body may contain escape sequences. A terminal obeys them: they
clear the screen, set its title, or type into the shell. Right-to-left and zero-width characters
make a text look different from what it is. A line break forges a line of output.

`terminal.Screen` calls these functions for every text that a command prints.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that `str.isprintable` accepts and that have no visible form: fillers and selectors.

Source: the property Default_Ignorable_Code_Point of Unicode, and U+2800, the blank Braille cell.
"""


def printable(text: str) -> str:
    r"""Return the text in one line. Invisible characters become `\x1b`, `\u202e`, `\U000e0041`."""
    return "".join(char if _is_visible(char) and char != "\\" else _escaped(char) for char in text)


def printable_bytes(body: bytes) -> str:
    r"""Return bytes as lines of UTF-8 text. Bytes that are not UTF-8 become `\xff`."""
    return printable_lines(body.decode("utf-8", "backslashreplace"))


def printable_lines(text: str) -> str:
    """Return a text of several lines, such as another program's output; backslashes stay single.

    A JSON body has many backslashes, and doubled ones are hard to read.
    """
    return "\n".join(
        "".join(char if _is_visible(char) else _escaped(char) for char in line)
        for line in text.split("\n")
    )


def printable_json(
    value: object, *, indent: int | None = None, default: Callable[[Any], object] | None = None
) -> str:
    r"""Return a value as JSON in printable ASCII. Other characters become `\u009b`."""
    text = json.dumps(value, indent=indent, default=default)
    return text.replace("\x7f", r"\u007f")  # json writes every other control character as escapes


def _is_visible(char: str) -> bool:
    return char.isprintable() and not _BLANK.match(char)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
