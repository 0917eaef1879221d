"""Which processes are this stack's, and how is one found, killed or awaited?

For the drills: `kill(settings, "gateway")`, then `await wait_ready(settings, "gateway")`.
"""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Final

import psutil

from local_stack import supervisor
from local_stack.components import BY_NAME
from local_stack.files import var
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

POLL_S: Final = 0.05
END_WAIT_S: Final = 25


def pid_of(settings: Settings, name: str) -> int:
    """The pid of a running component.

    Raises:
        UserError: it is not running.
    """
    info = supervisor.states(settings).get(name)
    if not info or not info["pid"]:
        raise UserError(f"{name} is not running.", exit_code=1)
    return int(info["pid"])


def kill(settings: Settings, name: str, number: int = signal.SIGKILL) -> int:
    """Send a signal to a component and to every process it started; the pid it had.

    Raises:
        UserError: it is not running, or another program listens on one of its ports: nothing is
            killed that might not be ours.
    """
    pid = pid_of(settings, name)
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for port in (getattr(settings, port) for port in BY_NAME[name].ports):
        owner = listener(port)
        if owner is not None and owner not in {member.pid for member in family}:
            raise UserError(f"{name}'s port {port} is not {name}'s, but pid {owner}'s.", 1)
    for member in family:
        try:
            member.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    return pid


def freeze(settings: Settings, name: str) -> None:
    """Stop a component with SIGSTOP; it does nothing any more once this returns.

    Raises:
        UserError: as `kill`.
        TimeoutError: it goes on.
    """
    process = psutil.Process(kill(settings, name, signal.SIGSTOP))
    given_up_at = time.monotonic() + END_WAIT_S
    # The signal is only taken when one of its threads next runs, which a busy machine puts off.
    while process.status() != psutil.STATUS_STOPPED:
        if time.monotonic() > given_up_at:
            raise TimeoutError(f"{name} is not frozen")
        time.sleep(POLL_S)


async def wait_ready(
    settings: Settings, name: str, *, timeout_s: float = 60, not_pid: int | None = None
) -> float:
    """Seconds until a component did its work again.

    `not_pid` is the pid that was killed: a process that dies may still answer for a moment.

    Raises:
        TimeoutError: it didn't in time.
    """
    began = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while True:
            info = supervisor.states(settings).get(name, {})
            alive = info.get("statename") in supervisor.ALIVE
            if alive and info["pid"] != not_pid and await BY_NAME[name].ready(settings):
                return time.monotonic() - began
            await asyncio.sleep(POLL_S)


def listener(port: int) -> int | None:
    """Who listens; None when the system doesn't tell (macOS tells root alone)."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    listening = (each for each in connections if each.status == psutil.CONN_LISTEN)
    return next((each.pid for each in listening if each.laddr and each.laddr.port == port), None)


def members(settings: Settings) -> list[psutil.Process]:
    """Every process of this stack, its supervisord included, whoever its parent is now."""
    home = var(settings)
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [p for p in psutil.process_iter() if p.pid not in mine and _belongs(p, home)]


def _belongs(process: psutil.Process, home: Path) -> bool:
    """By its mark; where the system hides environments, by a command that names our folder.

    PostgreSQL's children overwrite their environment with a title, but work in the data folder.
    """
    try:
        with process.oneshot():
            try:
                if process.environ().get(supervisor.MARK) == str(home):
                    return True
            except psutil.AccessDenied:
                pass
            if process.name().startswith("postgres"):
                return Path(process.cwd()).is_relative_to(home)
            argv = process.cmdline()
            ours = ("supervisor.supervisord", "kafka.Kafka", "start-dev")
            return any(word in argv for word in ours) and any(str(home) in word for word in argv)
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def end(processes: list[psutil.Process]) -> None:
    """Stop processes that no supervisor looks after: politely, then for good."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=END_WAIT_S)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=END_WAIT_S)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
