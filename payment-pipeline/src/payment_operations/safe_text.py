"""Escapes foreign text before it is printed to a terminal.

An event's id, an error's path or a body may contain escape sequences. A terminal obeys them: they
clear the screen, set its title, or type into the shell. Right-to-left and zero-width characters
make a text look different from what it is.
"""


def printable(text: str) -> str:
    r"""Return the text in one line. Invisible characters become `\x1b`, `\u202e`, `\U000e0041`."""
    return "".join(char if char.isprintable() and char != "\\" else _escaped(char) for char in text)


def printable_bytes(body: bytes) -> str:
    r"""Return bytes as lines of UTF-8 text. Bytes that are not UTF-8 become `\xff`."""
    text = body.decode("utf-8", "backslashreplace")
    return "\n".join(map(_kept_backslashes, text.split("\n")))


def _kept_backslashes(line: str) -> str:
    """Keep backslashes: a JSON body has many, and doubled ones are hard to read."""
    return "".join(char if char.isprintable() else _escaped(char) for char in line)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
