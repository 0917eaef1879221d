"""Texts that try to control a terminal, to forge a line, or to look like something else."""

from typing import Final

FORGED: Final = "FORGED"
"""Stands behind each line break: a line that starts with this word was forged."""

_NAMED: Final = {
    "closing markup": "cus_[/x]",
    "markup": "[red]cus[/red]",
    "markup link": "[link=https://example.invalid]cus[/link]",
    "markup that never closes": "[bold",
    "emoji code": "cus:smile:1",
    "clear screen": "a\x1b[2Jb",
    "window title": "a\x1b]0;owned\x07b",
    "hyperlink": "a\x1b]8;;https://example.invalid\x1b\\b",
    "clipboard": "a\x1b]52;c;b3duZWQ=\x07b",
    "device status report": "a\x1b[6nb",
    "device control string": "a\x1bP$q\x1b\\b",
    "colour": "a\x1b[31mb",
    "unfinished escape": "a\x1b",
    "C1 control sequence": "a\x9b2Jb",
    "C1 operating system command": "a\x9d0;owned\x9cb",
    "C1 device control string": "a\x90b\x9c",
    "bell and backspace": "a\x07\x08\x08b",
    "shift out": "a\x0eb\x0f",
    "null": "a\x00b",
    "delete": "a\x7fb",
    "tab": "a\tb",
    "newline": f"a\n{FORGED}",
    "carriage return": f"a\r{FORGED}",
    "carriage return and newline": f"a\r\n{FORGED}",
    "vertical tab and form feed": f"a\x0b{FORGED}\x0c{FORGED}",
    "separators": f"a\x1c{FORGED}\x1d{FORGED}\x1e{FORGED}",
    "next line": f"a\x85{FORGED}",
    "line separator": f"a\u2028{FORGED}",
    "paragraph separator": f"a\u2029{FORGED}",
    "bidi override": "a\u202eb\u202c",
    "bidi isolate": "a\u2067b\u2069",
    "bidi marks": "a\u200eb\u200fc\u061cd",
    "zero-width space": "a\u200bb",
    "zero-width joiner": "a\u200cb\u200dc",
    "byte order mark": "\ufeffa",
    "word joiner": "a\u2060b",
    "soft hyphen": "a\u00adb",
    "no-break space": "a\u00a0b",
    "tag characters": "a\U000e0041b",
    "variation selector": "a\ufe0fb\U000e0101",
    "filler": "a\u3164b\u115fc\uffa0",
    "blank Braille cell": "a\u2800b",
    "combining grapheme joiner": "a\u034fb",
    "lone surrogate": "a\ud800b",
    "private use": "a\ue000b",
    "backslashes": "a\\x1b[2J",
}
HOSTILE: Final = tuple(_NAMED.values())
HOSTILE_IDS: Final = tuple(_NAMED)
