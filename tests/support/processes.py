"""Kills and freezes the components of a stack, and waits until one is ready again.

`kill(settings, "gateway")`, then `await wait_ready(settings, "gateway")`.
"""

import asyncio
import signal
import time
from typing import Final

import psutil

from local_stack import process, supervisor
from local_stack.components import components
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

POLL_S: Final = 0.05
FREEZE_WAIT_S: Final = 25


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
    for port in (getattr(settings, port) for port in components()[name].ports):
        owner = process.listener(port)
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
    frozen = psutil.Process(kill(settings, name, signal.SIGSTOP))
    given_up_at = time.monotonic() + FREEZE_WAIT_S
    # The signal is only taken when one of its threads next runs, which a busy machine puts off.
    while frozen.status() != psutil.STATUS_STOPPED:
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
            if alive and info["pid"] != not_pid and await components()[name].ready(settings):
                return time.monotonic() - began
            await asyncio.sleep(POLL_S)
