"""A console for the tables of drills and benchmarks."""

from typing import Final

from rich.console import Console

FILE_COLUMNS: Final = 200
"""The width of a table that goes to a file."""


def wide_console() -> Console:
    """Return a console as wide as the terminal, or `FILE_COLUMNS` wide for a file."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=FILE_COLUMNS)
