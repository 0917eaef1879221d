"""What does a person see of the stack: its start, its standing, the doctor's lines, its logs?"""

from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from local_stack import dagster, files, logs, stack
from local_stack.component import DASHBOARDS, LAKEHOUSE, Check
from local_stack.components import chosen, components, superset
from local_stack.stack import Standing
from payment_pipeline.settings import Settings

from . import stack_start

FILE_COLUMNS: Final = 200
"""A table in a file is as wide as it needs to be."""
_UNREADY = {"down": "down", "elsewhere": "elsewhere"}


def console() -> Console:
    """The reader's terminal, or a file."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=FILE_COLUMNS)


class _Live(stack.Watcher):
    """One line a component: a spinner until it is ready, a bar while it prepares at length."""

    def __init__(self, progress: Progress, names: list[str]) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {
            name: progress.add_task("waiting for what it needs", total=None, component=name)
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
            self._progress.console.print(f"{name:<18}{text}")

    def work(self, name: str, more: int, done: int) -> None:
        line = self._lines[name]
        total = self._progress.tasks[line].total or 0
        self._progress.update(line, total=total + more, advance=done)


def up(settings: Settings, only: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> None:
    """Bring the stack up under the reader's eyes, and say what runs where and what to do next.

    Raises:
        UserError: as `stack.up`.
    """
    console = Console(highlight=False)
    with Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.fields[component]:<18}"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        names = [component.name for component in chosen(only, groups)]
        stack_start.up(settings, only, _Live(progress, names), groups)
    show_status(stack.status(settings))
    for name, where in links(settings, groups).items():
        console.print(f"{name:<18}{where}")
    if not only:
        console.print("First event       make gateway-simulator, or payments simulate --events 1")
    console.print(f"Logs              {files.var(settings) / 'log'}, or make logs")


def links(settings: Settings, groups: tuple[str, ...] = ()) -> dict[str, str]:
    """Where a person looks around, by what is found there."""
    found = {"Temporal UI": settings.temporal_ui}
    if LAKEHOUSE in groups:
        found |= {"Dagster": dagster.address(settings), "Trino": settings.trino}
    if DASHBOARDS in groups:
        password = settings.secrets_dir / "superset_admin_password"
        found["Superset"] = (
            f"{superset.address(settings)}, as admin with the password in {password}"
        )
    return found


def show_status(standings: list[Standing]) -> None:
    """What runs where."""
    table = Table("component", "state", "where", "pid", "up for", box=None, pad_edge=False)
    for each in standings:
        state = "ready" if each.ready else _UNREADY.get(each.state, "not ready")
        colour = "green" if each.ready else "red" if state == "not ready" else "dim"
        uptime = "" if each.uptime_s is None else f"{each.uptime_s} s"
        pid = str(each.pid or "")
        table.add_row(each.name, f"[{colour}]{state}", each.address, pid, uptime)
    Console(highlight=False).print(table)


def show_checks(checks: list[Check]) -> None:
    """Each check on a line, green or red, and what to do about a red one."""
    console = Console(highlight=False, soft_wrap=True)
    for check in checks:
        sign = "[green]✓[/]" if check.ok else "[red]✗[/]"
        console.print(f"{sign} {check.name:<12}", end="")
        console.print(check.finding, markup=False)
        if not check.ok:
            console.print(f"               → {check.remedy}", style="red", markup=False)


def show_logs(settings: Settings, names: tuple[str, ...], lines: int, *, on: bool) -> None:
    """The last lines of some components' logs, and, when it goes `on`, the next ones until Ctrl-C.

    Raises:
        UserError: a name is none of ours.
    """
    console = Console(highlight=False, soft_wrap=True)
    chosen(names)
    paths = {files.log_path(settings, name): name for name in names or components()}
    for path, name in paths.items():
        for line in logs.tail(path, lines).splitlines():
            console.print(f"{name:<18}{line}", markup=False)
    if on:
        for path, line in logs.follow(list(paths)):
            console.print(f"{paths[path]:<18}{line}", markup=False)
