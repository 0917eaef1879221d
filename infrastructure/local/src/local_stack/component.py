"""The description of one component of the native stack: a supervised program and its needs."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from local_stack.http import answers
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

PIPELINE: Final = "pipeline"
LAKEHOUSE: Final = "lakehouse"
DASHBOARDS: Final = "dashboards"
GROUPS: Final = (PIPELINE, LAKEHOUSE, DASHBOARDS)
"""The parts of the product. `payments up` starts the pipeline; `--with` adds the other groups."""

STOP_WAIT_S: Final = 20
"""Seconds that most components get to stop. No component needs more."""
MIB: Final = 1024**2

Work = Callable[[int, int], None]
"""Reports the progress of a long preparation: units newly expected, units newly done."""


class Check(NamedTuple):
    """One line of `payments doctor`."""

    name: str
    ok: bool
    finding: str
    """The state that the check found, good or bad."""
    remedy: str = ""
    """What to do about a bad state."""


class Download(NamedTuple):
    """Files that a component fetches before its first start."""

    title: str
    """The name of the check that asks for room."""
    folder: Path
    """Where the files are written. The folder may be on another disk than the stack."""
    size_bytes: int
    """Room that the files take, with the archive that they are unpacked from."""
    setting: str
    """The variable that chooses another folder."""


def _no_preparation(_settings: Settings, _work: Work) -> None:
    """Prepare nothing."""


def _no_downloads(_settings: Settings) -> tuple[Download, ...]:
    return ()


def _no_checks(_settings: Settings) -> tuple[Check, ...]:
    return ()


def _unknown(_process: psutil.Process, _home: Path) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Component:
    """One supervised program. Its module in `local_stack.components` offers it as `COMPONENT`."""

    name: str
    order: int
    """Position in `payments status`: stores first, then the way of the data."""
    command: Callable[[Settings], list[str]]
    ready: Callable[[Settings], Awaitable[bool]]
    """Asks once. True only when the component does its work, not when its process merely runs."""
    address: Callable[[Settings], str]
    """Where clients find it, without a secret."""
    ports: tuple[str, ...] = ()
    """The settings that hold its ports."""
    needs: tuple[str, ...] = ()
    """The components that must be ready before it starts."""
    group: str = PIPELINE
    is_store: bool = False
    """Others write to it or query it. `payments down` stops it after all that are no stores."""
    prepare: Callable[[Settings, Work], None] = _no_preparation
    """Puts on disk what it needs to start. Called only when it is not running."""
    elsewhere: str = ""
    """The setting that, when it is set, says that the component runs elsewhere."""
    secrets: tuple[str, ...] = ()
    """The secrets of the environment that its process may see. Every other one is withheld."""
    generated_secrets: tuple[str, ...] = ()
    """The secrets that `payments up` generates for it when they are neither given nor in a file."""
    memory_mib: Callable[[Settings], int] = lambda _settings: 128
    """Memory that it wants available before it starts."""
    disk_mib: int = 64
    """Free disk that it wants in the stack's folder. The default is room for its logs."""
    downloads: Callable[[Settings], tuple[Download, ...]] = _no_downloads
    """What it still has to fetch."""
    checks: Callable[[Settings], tuple[Check, ...]] = _no_checks
    """What must be so on this machine before it can start."""
    recognized: Callable[[psutil.Process, Path], bool] = _unknown
    """Whether a process is this component of the stack in that folder.

    Asked only where the system hides a process's environment, which names the stack.
    """
    ready_wait_s: int = 90
    """Seconds from its start until it is ready, at most, on a busy machine."""
    stop_signal: str = "TERM"
    stop_wait_s: int = STOP_WAIT_S
    """Seconds from the stop signal until it is killed."""
    user: Callable[[], str | None] = lambda: None
    """The user that root runs it as; None for root itself."""


def stage(
    name: str,
    *,
    order: int,
    port: str,
    module: str = "",
    elsewhere: str = "",
    needs: tuple[str, ...] = (),
    group: str = PIPELINE,
    prepare: Callable[[Settings, Work], None] = _no_preparation,
    secrets: tuple[str, ...] = (),
    generated_secrets: tuple[str, ...] = (),
    memory_mib: int = 128,
) -> Component:
    """Return one of the pipeline's own programs. It is ready when its `/readyz` says so."""

    def address(settings: Settings) -> str:
        there = elsewhere and getattr(settings, elsewhere)
        return str(there or f"http://{settings.host}:{getattr(settings, port)}").rstrip("/")

    async def ready(settings: Settings) -> bool:
        return await answers(f"{address(settings)}/readyz")

    return Component(
        name=name,
        order=order,
        command=lambda _settings: [sys.executable, "-m", module or f"payment_pipeline.{name}"],
        ready=ready,
        address=address,
        ports=(port,),
        needs=needs,
        group=group,
        prepare=prepare,
        elsewhere=elsewhere,
        secrets=secrets,
        generated_secrets=generated_secrets,
        memory_mib=lambda _settings: memory_mib,
    )


def program(name: str, find: Callable[[], str]) -> Check:
    """Check that a program of this environment is there.

    Args:
        name: the program, as the doctor shows it.
        find: returns where it is. Its `UserError` is `what is missing: what to do.`
    """
    try:
        return Check(name, ok=True, finding=find())
    except UserError as missing:
        finding, _, remedy = str(missing).partition(": ")
        return Check(name, ok=False, finding=finding, remedy=remedy.rstrip("."))


def command_names(word: str) -> Callable[[psutil.Process, Path], bool]:
    """Recognize a process by a word of its command line that also names the stack's folder."""

    def recognized(process: psutil.Process, home: Path) -> bool:
        arguments = process.cmdline()
        return word in arguments and any(str(home) in argument for argument in arguments)

    return recognized


def runs_elsewhere(settings: Settings, component: Component) -> bool:
    """Tell whether the settings give the address of a server that this stack doesn't start."""
    return bool(component.elsewhere and getattr(settings, component.elsewhere))
