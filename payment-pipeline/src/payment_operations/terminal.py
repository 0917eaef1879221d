"""Tables and lines that stay complete on a narrow terminal.

rich shortens a cell that does not fit and ends it with "…". An operator copies ids, paths and
coordinates from these tables, so a cell that does not fit is folded onto the next line instead.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

GAP: Final = 2
"""Spaces between two columns."""


def text_column(header: str = "") -> Column:
    """A column of text that is folded, never shortened."""
    return Column(header, overflow="fold")


def number_column(header: str = "", width: int | None = None) -> Column:
    """A column of numbers, aligned to the right; its header is wrapped to a given width."""
    return Column(header, justify="right", overflow="fold", width=width)


def fixed_column(header: str = "", width: int | None = None) -> Column:
    """A column of short values that are never wrapped: statuses, scores, durations.

    With a width the header is wrapped to that width, and no value may be longer.
    """
    return Column(header, no_wrap=width is None, overflow="fold", width=width)


def table(*columns: Column) -> Table:
    """A table with a line below its header and two spaces between its columns."""
    return Table(*columns, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)


def show_table(console: Console, shown: Table, title: str = "") -> None:
    """Print a title, a table, and an empty line."""
    if title:
        console.print(title, style="bold", markup=False, soft_wrap=True)
    console.print(shown)
    console.print()


def fitting(columns: Mapping[str, Sequence[str]], width: int) -> list[list[str]]:
    """Split the columns of a table into groups that fit into a width, each at least one column.

    Args:
        columns: the cells by header, in order; a header may be wrapped at its spaces.
        width: what the terminal has for these columns.

    Returns:
        The headers of each group, in order.
    """
    groups: list[list[str]] = [[]]
    left = width
    for header, cells in columns.items():
        needed = max(map(len, [*header.split(), *cells])) + GAP
        if groups[-1] and needed > left:
            groups.append([])
            left = width
        groups[-1].append(header)
        left -= needed
    return groups


def facts(rows: dict[str, str]) -> Table:
    """Names on the left, values on the right."""
    shown = Table(
        fixed_column(),
        text_column(),
        box=None,
        show_header=False,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for name, value in rows.items():
        shown.add_row(name, value)
    return shown


def labelled(console: Console, label: str, text: str, *, width: int, indent: int = 2) -> None:
    """Print a label and a text with at least two spaces between them; the terminal wraps it."""
    line = f"{'':<{indent}}{label:<{width}}  {text}"
    console.print(line, markup=False, soft_wrap=True)


def instant(at: datetime) -> str:
    """A time in UTC with milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def minute(at: datetime) -> str:
    """A time in UTC, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
