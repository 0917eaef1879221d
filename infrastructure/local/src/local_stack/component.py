"""The type of a component of the native stack, and the parts that its module makes it of."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from local_stack.downloads import Download, JarLock
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

PIPELINE: Final = "pipeline"
LAKEHOUSE: Final = "lakehouse"
DASHBOARDS: Final = "dashboards"
GROUPS: Final = (PIPELINE, LAKEHOUSE, DASHBOARDS)
"""The parts of the product. `payments up` starts the pipeline; `--with` adds the other groups."""

STOP_WAIT_S: Final = 20
"""The longest time, in seconds, that a component may take to stop."""

Work = Callable[[int, int], None]
"""Reports the progress of a long preparation: units that were added, units that were done."""


class Check(NamedTuple):
    """One line of `payments doctor`."""

    name: str
    ok: bool
    finding: str
    """The state that the check found, good or bad."""
    remedy: str = ""
    """What to do about a bad state."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One supervised program. Its module in `local_stack.components` offers it as `COMPONENT`."""

    name: str
    order: int
    """Its position in `payments status`: stores first, then from the webhook to the marts."""
    command: Callable[[Settings], list[str]]
    ready: Callable[[Settings], Awaitable[bool]]
    """Asks once whether the component does its work. A running process alone is not enough."""
    address: Callable[[Settings], str]
    """The address for its clients, without a secret."""
    ports: tuple[str, ...] = ()
    """The settings that hold its ports."""
    needs: tuple[str, ...] = ()
    """The components that must be ready before it starts. It stops before them."""
    uses: tuple[str, ...] = ()
    """The components that it calls later, and does not need at its start. It stops before them."""
    group: str = PIPELINE
    prepare: Callable[[Settings, Work], None] = lambda _settings, _work: None
    """Writes the files that it needs to start. Called only while it is not running."""
    elsewhere: tuple[str, ...] = ()
    """The settings of its address on another machine. When one is set, nothing starts here."""
    secrets: tuple[str, ...] = ()
    """The secrets of the environment that its process may see. Every other one is withheld."""
    own_settings: Callable[[Settings], Mapping[str, str]] = lambda _settings: {}
    """The values of settings that its process gets instead of the stack's."""
    generated_secrets: tuple[str, ...] = ()
    """The secrets that `payments up` generates for it when they are neither given nor in a file."""
    memory_mib: int = 128
    """Memory that it wants available before it starts."""
    heap: str = ""
    """The setting of its heap in MiB. It wants that memory in addition."""
    disk_mib: int = 64
    """Free disk that it wants in the stack's folder. The default is for its logs."""
    jars: tuple[JarLock, ...] = ()
    """The files that its preparation fetches from Maven."""
    downloads: Callable[[Settings], Iterable[Download]] = lambda _settings: ()
    """The downloads that are still missing."""
    checks: Callable[[Settings], Iterable[Check]] = lambda _settings: ()
    """Its own checks before a start: its programs, and settings that it can't work with."""
    links: Callable[[Settings], Mapping[str, str]] = lambda _settings: {}
    """Addresses for a person to open, by title."""
    recognized: Callable[[psutil.Process, Path], bool] = lambda _process, _home: False
    """Whether a process is this component of the stack in that folder.

    Asked only where the system hides a process's environment, which names the stack.
    """
    ready_wait_s: int = 90
    """The longest time from its start until it is ready, on a busy machine."""
    stop_signal: str = "TERM"
    stop_wait_s: int = STOP_WAIT_S
    """The time from the stop signal until it is killed."""


def program(name: str, find: Callable[[], str]) -> Check:
    """Check that a program is installed.

    Args:
        name: of the check.
        find: returns the program's path. Its `UserError` has the form "<finding>: <remedy>."
    """
    try:
        return Check(name, ok=True, finding=find())
    except UserError as missing:
        finding, _, remedy = str(missing).partition(": ")
        return Check(name, ok=False, finding=finding, remedy=remedy.rstrip("."))


def command_names(word: str) -> Callable[[psutil.Process, Path], bool]:
    """Recognize a process by a word of its command line, if that names the stack's folder too."""

    def recognized(process: psutil.Process, home: Path) -> bool:
        arguments = process.cmdline()
        return word in arguments and any(str(home) in argument for argument in arguments)

    return recognized


def runs_elsewhere(settings: Settings, component: Component) -> bool:
    """Whether the settings give the component's address on another machine."""
    return any(getattr(settings, name) for name in component.elsewhere)
