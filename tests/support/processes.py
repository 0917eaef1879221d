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
    """Return the pid of a running component.

    Raises:
        UserError: the component is not running.
    """
    info = supervisor.states(settings).get(name)
    if not info or not info["pid"]:
        raise UserError(f"{name} is not running.", exit_code=1)
    return int(info["pid"])


def kill(settings: Settings, name: str, number: int = signal.SIGKILL) -> int:
    """Send a signal to a component and its child processes, and return its pid.

    Raises:
        UserError: the component is not running, or another program listens on one of its ports.
            Then no process gets the signal.
    """
    pid = pid_of(settings, name)
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for port in (getattr(settings, port) for port in components()[name].ports):
        owner = process.listener(port)
        if owner is not None and owner not in {member.pid for member in family}:
            raise UserError(
                f"Port {port} of {name} is used by pid {owner}, which is another program. "
                "Stop that program, or choose another port.",
                1,
            )
    for member in family:
        try:
            member.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    return pid


def freeze(settings: Settings, name: str) -> None:
    """Stop a component with SIGSTOP, and return once it has stopped.

    Raises:
        UserError: see `kill`.
        TimeoutError: the component did not stop.
    """
    frozen = psutil.Process(kill(settings, name, signal.SIGSTOP))
    given_up_at = time.monotonic() + FREEZE_WAIT_S
    # A process takes the signal when one of its threads next runs. A busy machine delays that.
    while frozen.status() != psutil.STATUS_STOPPED:
        if time.monotonic() > given_up_at:
            raise TimeoutError(f"{name} did not stop {FREEZE_WAIT_S} s after SIGSTOP.")
        time.sleep(POLL_S)


async def wait_ready(
    settings: Settings, name: str, *, timeout_s: float = 60, not_pid: int | None = None
) -> float:
    """Wait until a component is ready, and return the seconds that this took.

    Args:
        settings: settings of the component's stack.
        name: the component.
        timeout_s: longest time to wait.
        not_pid: the pid that was killed; a dying process may still answer for a moment.

    Raises:
        TimeoutError: the component was not ready in time.
    """
    began = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while True:
            info = supervisor.states(settings).get(name, {})
            alive = info.get("statename") in supervisor.ALIVE
            if alive and info["pid"] != not_pid and await components()[name].ready(settings):
                return time.monotonic() - began
            await asyncio.sleep(POLL_S)
