"""Options that several commands share."""

from typing import Annotated, TypeAlias

import typer

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output.")
]
ForMachine: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

INSTANT = "RFC 3339, or an age such as 15m, 2h or 7d"
"""How an end of a window of receipts is given."""


def names(listed: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(name for name in listed.split(",") if name)
