"""The terminal of a command: the only module that writes to it.

Every text that `Screen` prints is escaped first, and rich reads no markup in it. So a text from
outside can't control the terminal, whatever module prints it. Every other module gets a `Screen`
(`tests/architecture/test_terminal_output.py`).

Tables and lines stay complete on a narrow terminal. rich shortens a cell that does not fit and ends
it with "…". An operator copies ids, paths and coordinates from these tables, so a cell that does
not fit is folded onto the next line instead.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TextIO, TypeAlias

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from .safe_text import printable, printable_json, printable_lines

GAP: Final = 2
"""Spaces between two columns."""
OUTPUT_INDENT: Final = 2
"""Spaces before each line of another program's output, so that it can't pose as a line of ours."""

Cell: TypeAlias = "str | Sequence[str] | Text"
"""A text in one line, several lines, or what `styled` returns."""


def styled(text: str, style: str) -> Text:
    """A text with a colour, for a cell."""
    return Text(printable(text), style=style)


def _text(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    lines = [cell] if isinstance(cell, str) else cell
    return Text("\n".join(printable(line) for line in lines))


def text_column(header: str = "") -> Column:
    """A column of text that is folded, never shortened."""
    return Column(Text(printable(header)), overflow="fold")


def number_column(header: str = "", width: int | None = None) -> Column:
    """A column of numbers, aligned to the right; its header is wrapped to a given width."""
    return Column(Text(printable(header)), justify="right", overflow="fold", width=width)


def fixed_column(header: str = "", width: int | None = None) -> Column:
    """A column of short values that are never wrapped: statuses, scores, durations.

    With a width the header is wrapped to that width, and no value may be longer.
    """
    return Column(Text(printable(header)), no_wrap=width is None, overflow="fold", width=width)


class Grid:
    """A table. Each cell is escaped when its row is added."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def row(self, *cells: Cell) -> None:
        """Add a row."""
        self._table.add_row(*map(_text, cells))

    def __rich__(self) -> Table:
        return self._table


def table(*columns: Column) -> Grid:
    """A table with a line below its header and two spaces between its columns."""
    return Grid(
        Table(*columns, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    )


def facts(rows: Mapping[str, Cell]) -> Grid:
    """Names on the left, values on the right."""
    shown = Grid(
        Table(
            fixed_column(),
            text_column(),
            box=None,
            show_header=False,
            padding=(0, 2, 0, 0),
            pad_edge=False,
        )
    )
    for name, value in rows.items():
        shown.row(name, value)
    return shown


class Screen:
    """Prints lines, tables, JSON and progress; escapes each text."""

    def __init__(
        self, *, stderr: bool = False, file: TextIO | None = None, width: int | None = None
    ) -> None:
        self._console = Console(
            stderr=stderr, file=file, width=width, markup=False, emoji=False, highlight=False
        )

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be looking, as opposed to a file or a pipe."""
        return self._console.is_terminal

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._console.width

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line; the terminal wraps it."""
        self._print(Text(printable(text), style=style))

    def verdict(self, text: str, *, ok: bool) -> None:
        """Print one line behind a green or a red sign."""
        sign = ("✓", "green") if ok else ("✗", "red")
        self._print(Text.assemble(sign, f" {printable(text)}"))

    def labelled(self, label: str, text: str, *, width: int, indent: int = 2) -> None:
        """Print a label and a text with at least two spaces between them."""
        self._print(Text(f"{'':<{indent}}{printable(label):<{width}}  {printable(text)}"))

    def output(self, text: str) -> None:
        """Print the lines of another program's output, indented."""
        for line in printable_lines(text).split("\n"):
            self._print(Text(f"{'':<{OUTPUT_INDENT}}{line}"))

    def grid(self, shown: Grid, title: str = "") -> None:
        """Print a title, a table, and an empty line."""
        if title:
            self.line(title, style="bold")
        self._console.print(shown)
        self.line()

    def rule(self, title: str) -> None:
        """Print a heading in a line across the terminal."""
        self._console.rule(Text(printable(title)))

    def json(
        self,
        value: object,
        *,
        indent: int | None = None,
        default: Callable[[Any], object] | None = None,
    ) -> None:
        """Print a value as JSON in ASCII."""
        self._console.file.write(printable_json(value, indent=indent, default=default) + "\n")

    def confirm(self, question: str) -> bool:
        """Ask on standard error."""
        return typer.confirm(printable(question), err=True)

    @contextmanager
    def status(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show what goes on, until the block ends; nothing if there is no terminal."""
        with self._console.status(Text(printable(text))) as status:
            yield lambda news: status.update(Text(printable(news)))

    @contextmanager
    def live(self) -> Iterator[Callable[[Sequence[Cell]], None]]:
        """Show one row of cells that changes, until the block ends; the caller sets the pace."""
        with Live(console=self._console, auto_refresh=False, transient=True) as live:

            def show(cells: Sequence[Cell]) -> None:
                row = Table.grid(padding=(0, 3))
                row.add_row(*map(_text, cells))
                live.update(row, refresh=True)

            yield show

    @contextmanager
    def bar(self, total: int) -> Iterator[Callable[[int, str], None]]:
        """Show a progress bar: how much is done, and what goes on."""
        columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), _TEXT
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("", total=total)
            yield lambda completed, text: progress.update(
                task, completed=completed, description=printable(text)
            )

    @contextmanager
    def board(self, names: Sequence[str]) -> Iterator["Board"]:
        """Show a line for each name: a spinner until it is done, a bar for long work."""
        width = max(map(len, names), default=0)
        columns = (
            SpinnerColumn(finished_text=Text("✓", style="green")),
            TextColumn(f"{{task.fields[label]:<{width}}}", markup=False),
            _TEXT,
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, disable=not self.is_terminal) as progress:
            yield Board(progress, names)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


_TEXT: Final = TextColumn("{task.description}", markup=False)


class Board:
    """The lines of `Screen.board`."""

    def __init__(self, progress: Progress, names: Sequence[str]) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {
            name: progress.add_task("waiting", total=None, label=printable(name)) for name in names
        }

    def news(self, name: str, text: str, *, done: bool) -> None:
        """Show what happens to one name."""
        self._progress.update(
            self._lines[name],
            description=printable(text),
            total=1 if done else None,
            completed=1 if done else 0,
        )

    def work(self, name: str, more: int, done: int) -> None:
        """Add work of one name to its bar, and what of it is done."""
        line = self._lines[name]
        total = self._progress.tasks[line].total or 0
        self._progress.update(line, total=total + more, advance=done)


def show_defect(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of a defect. As `sys.excepthook` it replaces Python's raw output."""
    text = "".join(traceback.format_exception(kind, error, trace))
    Screen(stderr=True).output(text.rstrip("\n"))


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


def instant(at: datetime) -> str:
    """A time in UTC with milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def minute(at: datetime) -> str:
    """A time in UTC, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
