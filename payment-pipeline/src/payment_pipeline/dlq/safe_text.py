"""How does text that a stranger chose come to a terminal? Readable, and without a command in it.

An event's id, an error's path and above all a body may hold escape sequences, which a terminal
obeys: they clear the screen, set its title, or answer into the shell. Characters that are written
from right to left, or that take no room, make a text read otherwise than it is.
"""


def printable(text: str) -> str:
    r"""The text in one line: whatever isn't plainly visible as `\x1b`, `\u202e` or `\U000e0041`."""
    return "".join(char if char.isprintable() and char != "\\" else _escaped(char) for char in text)


def printable_bytes(body: bytes) -> str:
    r"""Bytes as UTF-8 text in lines; what isn't UTF-8 as `\xff`."""
    text = body.decode("utf-8", "backslashreplace")
    return "\n".join(map(_kept_backslashes, text.split("\n")))


def _kept_backslashes(line: str) -> str:
    """A body is full of JSON's own backslashes: doubled, it could not be read."""
    return "".join(char if char.isprintable() else _escaped(char) for char in line)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
