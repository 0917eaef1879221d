"""The stack on the terminal: its start, its status, the checks of the doctor, its logs."""

from typing import Final

from local_stack import files, logs, stack
from local_stack.component import Check
from local_stack.components import chosen, components
from local_stack.stack import ComponentStatus
from payment_pipeline.settings import Settings

from . import stack_start
from .terminal import Board, Grid, Screen, fixed_column, styled, table, text_column

_UNREADY = {"down": "down", "elsewhere": "elsewhere"}
_CHECK_WIDTH: Final = 19
"""The longest name of a check, `Transaction horizon`."""
_LABEL_WIDTH: Final = 17
"""The longest name of a component, `dagster-webserver`."""


class _Live(stack.Watcher):
    """Shows what each component does; where there is no terminal, only that it is ready."""

    def __init__(self, screen: Screen, board: Board) -> None:
        self._screen = screen
        self._board = board

    def news(self, name: str, text: str) -> None:
        ready = text.startswith("ready")
        self._board.news(name, text, done=ready)
        if ready and not self._screen.is_terminal:
            self._screen.labelled(name, text, width=_LABEL_WIDTH, indent=0)

    def work(self, name: str, more: int, done: int) -> None:
        self._board.work(name, more, done)


def up(
    settings: Settings,
    only: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    *,
    secure: bool = False,
) -> None:
    """Start the stack with a progress display, then print its status and the next steps.

    Raises:
        UserError: as `stack.up`.
    """
    screen = Screen()
    with screen.board([component.name for component in chosen(only, groups)]) as board:
        stack_start.up(settings, only, _Live(screen, board), groups, secure=secure)
    show_status(stack.status(settings))
    lines = links(settings, groups)
    if not only:
        lines["First event"] = "make gateway-simulator, or payments simulate --events 1"
    lines["Logs"] = f"{files.var(settings) / 'log'}, or make pipeline-logs"
    for name, text in lines.items():
        screen.labelled(name, text, width=_LABEL_WIDTH, indent=0)


def links(settings: Settings, groups: tuple[str, ...] = ()) -> dict[str, str]:
    """The addresses of the user interfaces, by their names."""
    return {
        title: address
        for component in chosen(groups=groups)
        for title, address in component.links(settings).items()
    }


def show_status(statuses: list[ComponentStatus]) -> None:
    """Print the status of each component: where it runs, and whether it is ready."""
    Screen().grid(status_table(statuses))


def status_table(statuses: list[ComponentStatus]) -> Grid:
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
        shown.row(each.name, styled(state, colour), each.address, pid, uptime)
    return shown


def show_checks(checks: list[Check], screen: Screen) -> None:
    """Print each check on a line, green or red, and below a red one what to do."""
    for check in checks:
        screen.verdict(f"{check.name:<{_CHECK_WIDTH}}  {check.finding}", ok=check.ok)
        if not check.ok:
            screen.line(f"{'':<{_CHECK_WIDTH + 4}}→ {check.remedy}", style="red")


def show_logs(settings: Settings, names: tuple[str, ...], lines: int, *, on: bool) -> None:
    """Print the last log lines of components; if `on`, also new lines until Ctrl-C.

    Raises:
        UserError: there is no component of that name.
    """
    screen = Screen()
    chosen(names)
    paths = {files.log_path(settings, name): name for name in names or components()}
    for path, name in paths.items():
        for line in logs.tail(path, lines).splitlines():
            screen.labelled(name, line, width=_LABEL_WIDTH, indent=0)
    if on:
        for path, line in logs.follow(list(paths)):
            screen.labelled(paths[path], line, width=_LABEL_WIDTH, indent=0)
