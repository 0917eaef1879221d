"""Foreign text is shown by a terminal, and never obeyed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_operations.safe_text import printable, printable_bytes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("evt_1 ä €", "evt_1 ä €"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\u202eevil", r"\u202eevil"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        (r"\x1b", r"\\x1b"),
    ],
)
def test_what_is_not_plain_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_a_line_is_a_line_of_visible_characters(text: str) -> None:
    assert printable(text).isprintable()


@given(st.binary())
def test_any_bytes_are_lines_of_visible_characters(body: bytes) -> None:
    assert all(line.isprintable() for line in printable_bytes(body).split("\n"))


def test_bytes_keep_their_lines_and_their_backslashes() -> None:
    body = b'{\n  "a": "\\u0000 \xff\x1b[2J"}'
    assert printable_bytes(body) == '{\n  "a": "\\u0000 \\xff\\x1b[2J"}'
