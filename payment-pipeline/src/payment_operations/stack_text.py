"""The stack on the terminal: its start, its status, the checks of the doctor, its logs."""

from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from local_stack import files, logs, stack
from local_stack.component import Check
from local_stack.components import chosen, components
from local_stack.stack import ComponentStatus
from payment_pipeline.settings import Settings

from . import stack_start
from .terminal import fixed_column, labelled, table, text_column

FILE_COLUMNS: Final = 200
"""The width of a table that goes to a file."""
_UNREADY = {"down": "down", "elsewhere": "elsewhere"}
_CHECK_WIDTH: Final = 19
"""The longest name of a check, `Transaction horizon`."""
_LABEL_WIDTH: Final = 17
"""The longest name of a component, `dagster-webserver`."""


def console() -> Console:
    """A console as wide as the terminal, or `FILE_COLUMNS` wide where output goes to a file."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=FILE_COLUMNS)


class _Live(stack.Watcher):
    """One line for each component: a spinner until it is ready, a bar for long preparations."""

    def __init__(self, progress: Progress, names: list[str]) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {
            name: progress.add_task("waiting for its dependencies", total=None, component=name)
            for name in names
        }

    def news(self, name: str, text: str) -> None:
        ready = text.startswith("ready")
        self._progress.update(
            self._lines[name],
            description=text,
            total=1 if ready else None,
            completed=1 if ready else 0,
        )
        if ready and not self._progress.console.is_terminal:
            labelled(self._progress.console, name, text, width=_LABEL_WIDTH, indent=0)

    def work(self, name: str, more: int, done: int) -> None:
        line = self._lines[name]
        total = self._progress.tasks[line].total or 0
        self._progress.update(line, total=total + more, advance=done)


def up(settings: Settings, only: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> None:
    """Start the stack with a progress display, then print its status and the next steps.

    Raises:
        UserError: as `stack.up`.
    """
    console = Console(highlight=False)
    with Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.fields[component]:<17}"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        names = [component.name for component in chosen(only, groups)]
        stack_start.up(settings, only, _Live(progress, names), groups)
    show_status(stack.status(settings))
    lines = links(settings, groups)
    if not only:
        lines["First event"] = "make gateway-simulator, or payments simulate --events 1"
    lines["Logs"] = f"{files.var(settings) / 'log'}, or make logs"
    for name, text in lines.items():
        labelled(console, name, text, width=_LABEL_WIDTH, indent=0)


def links(settings: Settings, groups: tuple[str, ...] = ()) -> dict[str, str]:
    """The addresses of the user interfaces, by their names."""
    return {
        title: address
        for component in chosen(groups=groups)
        for title, address in component.links(settings).items()
    }


def show_status(statuses: list[ComponentStatus]) -> None:
    """Print the status of each component: where it runs, and whether it is ready."""
    Console(highlight=False).print(status_table(statuses))


def status_table(statuses: list[ComponentStatus]) -> Table:
    """One row for each component."""
    shown = table(
        fixed_column("component"),
        fixed_column("state"),
        text_column("address"),
        fixed_column("pid"),
        fixed_column("up for"),
    )
    for each in statuses:
        state = "ready" if each.ready else _UNREADY.get(each.state, "not ready")
        colour = "green" if each.ready else "red" if state == "not ready" else "dim"
        uptime = "" if each.uptime_s is None else f"{each.uptime_s} s"
        pid = str(each.pid or "")
        shown.add_row(each.name, f"[{colour}]{state}", each.address, pid, uptime)
    return shown


def show_checks(checks: list[Check]) -> None:
    """Print each check on a line, green or red, and below a red one what to do."""
    console = Console(highlight=False, soft_wrap=True)
    for check in checks:
        sign = "[green]✓[/]" if check.ok else "[red]✗[/]"
        console.print(f"{sign} {check.name:<{_CHECK_WIDTH}}  ", end="")
        console.print(check.finding, markup=False)
        if not check.ok:
            console.print(f"{'':<{_CHECK_WIDTH + 4}}→ {check.remedy}", style="red", markup=False)


def show_logs(settings: Settings, names: tuple[str, ...], lines: int, *, on: bool) -> None:
    """Print the last log lines of components; if `on`, also new lines until Ctrl-C.

    Raises:
        UserError: there is no component of that name.
    """
    console = Console(highlight=False, soft_wrap=True)
    chosen(names)
    paths = {files.log_path(settings, name): name for name in names or components()}
    for path, name in paths.items():
        for line in logs.tail(path, lines).splitlines():
            labelled(console, name, line, width=_LABEL_WIDTH, indent=0)
    if on:
        for path, line in logs.follow(list(paths)):
            labelled(console, paths[path], line, width=_LABEL_WIDTH, indent=0)
