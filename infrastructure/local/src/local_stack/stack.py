"""How does the stack come up, go down, and how does it stand?"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from xmlrpc.client import Fault

import psutil

from local_stack import files, process, supervisor
from local_stack.components import BY_NAME, STORES, Component, chosen, runs_elsewhere
from local_stack.provision import STEPS
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

READY_WAIT_S: Final = 90
POLL_S: Final = 0.1
LOG_LINES_SHOWN: Final = 15

Tell = Callable[[str, str], None]
"""Told of each component's progress: its name, and what is happening."""


class Standing(NamedTuple):
    """How one component stands."""

    name: str
    state: str
    """Supervisord's state in lower case, or `down`, or `elsewhere`."""
    pid: int | None
    address: str
    uptime_s: int | None


def up(
    settings: Settings,
    only: tuple[str, ...] = (),
    tell: Tell = lambda _name, _news: None,
) -> None:
    """Bring up what is down of the chosen components, and return when each is truly ready.

    Calling it again changes nothing that runs.

    Raises:
        UserError: a component didn't become ready; the message has its log's last lines.
    """
    files.make_folders(settings)
    with files.exclusive(files.run_dir(settings) / "up.lock"):
        files.make_secrets(settings)
        supervisor.ensure(settings)
        _run(_bring_up(settings, chosen(only), tell))


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, also where an event loop runs already: in a thread of its own then."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
    else:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, work).result()


async def _bring_up(settings: Settings, components: tuple[Component, ...], tell: Tell) -> None:
    """Start each component as soon as what it needs is ready, the stores' contents included."""
    ready = {component.name: asyncio.Event() for component in components}
    try:
        async with asyncio.TaskGroup() as group:
            for component in components:
                group.create_task(_bring_up_one(settings, component, ready, tell))
    except* UserError as failures:
        raise failures.exceptions[0] from None


async def _bring_up_one(
    settings: Settings, component: Component, ready: dict[str, asyncio.Event], tell: Tell
) -> None:
    for name in component.needs:
        await ready[name].wait()
    began = time.monotonic()
    here = not runs_elsewhere(settings, component)
    if here and _state(settings, component) not in ("RUNNING", "STARTING"):
        tell(component.name, "starting")
        await asyncio.to_thread(component.prepare, settings)
        supervisor.start(settings, component.name)
    await _until_ready(settings, component, here=here)
    if step := STEPS.get(component.name):
        await step(settings)
    tell(component.name, f"ready after {time.monotonic() - began:.1f} s")
    ready[component.name].set()


async def _until_ready(settings: Settings, component: Component, *, here: bool) -> None:
    deadline = time.monotonic() + READY_WAIT_S
    while True:
        state = _state(settings, component) if here else "RUNNING"
        # What it needs is ready, so a program that ends here ends for a reason that lasts.
        if state in ("BACKOFF", "FATAL", "EXITED"):
            raise _not_ready(settings, component, "stopped as soon as it had started")
        if state == "RUNNING" and await component.ready(settings):
            return
        if time.monotonic() > deadline:
            raise _not_ready(settings, component, f"is not ready after {READY_WAIT_S} s")
        await asyncio.sleep(POLL_S)


def _state(settings: Settings, component: Component) -> str:
    return str(supervisor.states(settings).get(component.name, {}).get("statename", "DOWN"))


def _not_ready(settings: Settings, component: Component, what: str) -> UserError:
    log = files.log_path(settings, component.name)
    last = tail(log.read_text(errors="replace"), LOG_LINES_SHOWN) if log.exists() else ""
    return UserError(f"{component.name} {what}. The end of {log}:\n{last}", exit_code=1)


def tail(text: str, lines: int) -> str:
    """A text's last lines."""
    return "\n".join(text.splitlines()[-lines:])


def down(settings: Settings) -> int:
    """Stop everything of this stack; how many processes no supervisor looked after any more."""
    with contextlib.suppress(OSError, Fault):
        daemon = psutil.Process(supervisor.call(settings, "getPID"))
        stages = BY_NAME.keys() - set(STORES)
        # Stages first: they finish their batches into stores that still answer.
        for names in (stages, set(STORES)):
            _stop(settings, names)
        supervisor.call(settings, "shutdown")
        daemon.wait(supervisor.STOP_WAIT_S)
    left = process.members(settings)
    process.end(left)
    for path in (supervisor.pid_path(settings), files.socket_path(settings)):
        path.unlink(missing_ok=True)
    return len(left)


def _stop(settings: Settings, names: set[str]) -> None:
    """Stop programs at once: supervisord's own shutdown stops them one by one."""
    for name in names & supervisor.states(settings).keys():
        with contextlib.suppress(Fault):
            supervisor.call(settings, "stopProcess", name, False)
    deadline = time.monotonic() + supervisor.STOP_WAIT_S + POLL_S
    while time.monotonic() < deadline:
        running = {name for name, info in supervisor.states(settings).items() if info["pid"]}
        if not running & names:
            return
        time.sleep(POLL_S)
