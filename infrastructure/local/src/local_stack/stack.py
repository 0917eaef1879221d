"""How does the stack come up, go down, and how does it stand?"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar
from xmlrpc.client import Fault

import psutil

from local_stack import files, generated_secrets, logs, preflight, process, supervisor
from local_stack.component import PIPELINE, STOP_WAIT_S, Component, runs_elsewhere
from local_stack.components import chosen, components
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

STARTS_MAX: Final = 2
"""How often a component may be started before `up` gives up on it."""
POLL_S: Final = 0.1
LOG_LINES_SHOWN: Final = 15

Result = TypeVar("Result")

Step = Callable[[Settings], Awaitable[object]]
"""Provisions one store that is ready, idempotently."""


class Watcher:
    """Hears how far each component is. This one keeps it to itself."""

    def news(self, name: str, text: str) -> None:
        """A component took a step."""

    def work(self, name: str, more: int, done: int) -> None:
        """A component's preparation has `more` units to do, and has `done` some."""


class Standing(NamedTuple):
    """How one component stands."""

    name: str
    state: str
    """Supervisord's state in lower case, `down`, or `elsewhere`."""
    ready: bool
    """Whether it answered as it does when it works; nobody asks what runs elsewhere."""
    address: str
    pid: int | None
    uptime_s: int | None


def up(
    settings: Settings,
    provision: Mapping[str, Step],
    only: tuple[str, ...] = (),
    watcher: Watcher | None = None,
    groups: tuple[str, ...] = (),
) -> None:
    """Bring up what is down of the chosen components, and return when each is truly ready.

    Those are `only` and what they need, or else the pipeline and the `groups` beside it.

    Calling it again changes nothing that runs. Nothing is started when a check is red.

    Args:
        settings: of the stack.
        provision: by the name of a store, the step that provisions it once it is ready.
        only: the components that are wanted; what they need comes with them.
        watcher: is told how far each component is.
        groups: started with the pipeline.

    Raises:
        UserError: a check is red, or a component didn't become ready: its log's end is told.
    """
    components = chosen(only, groups)
    files.make_folders(settings)
    with files.exclusive(files.run_dir(settings) / "up.lock"):
        if not supervisor.running(settings):
            # Whose supervisor was killed keeps its ports, and nobody would restart it.
            process.end(process.members(settings))
        preflight.refuse_if_red(settings, components)
        generated_secrets.generate(settings)
        supervisor.ensure(settings)
        _run(_bring_up(settings, components, provision, watcher or Watcher()))


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end, also where an event loop runs already: in a thread of its own then."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _bring_up(
    settings: Settings,
    components: tuple[Component, ...],
    provision: Mapping[str, Step],
    watcher: Watcher,
) -> None:
    """Start each component as soon as what it needs is ready, the stores' contents included."""
    ready = {component.name: asyncio.Event() for component in components}
    mistake: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for component in components:
                step = provision.get(component.name)
                group.create_task(_bring_up_one(settings, component, ready, step, watcher))
    except* UserError as failures:
        mistake = failures.exceptions[0]
    # Raised within `except*`, some Pythons wrap it in a group again.
    if mistake:
        raise mistake


async def _bring_up_one(
    settings: Settings,
    component: Component,
    ready: dict[str, asyncio.Event],
    provision: Step | None,
    watcher: Watcher,
) -> None:
    for name in component.needs:
        await ready[name].wait()
    began = time.monotonic()
    if not runs_elsewhere(settings, component):
        if not _alive(settings, component):
            await _start(settings, component, watcher)
        await _until_ready(settings, component)
    if provision:
        await provision(settings)
    watcher.news(component.name, f"ready after {time.monotonic() - began:.1f} s")
    ready[component.name].set()


async def _start(settings: Settings, component: Component, watcher: Watcher) -> None:
    watcher.news(component.name, "preparing")
    await asyncio.to_thread(component.prepare, settings, partial(watcher.work, component.name))
    watcher.news(component.name, "starting")
    supervisor.start(settings, component.name)


def _alive(settings: Settings, component: Component) -> bool:
    info = supervisor.states(settings).get(component.name, {})
    return info.get("statename") in supervisor.ALIVE


async def _until_ready(settings: Settings, component: Component) -> None:
    deadline = time.monotonic() + component.ready_wait_s
    pids = set()
    while True:
        info = supervisor.states(settings).get(component.name, {})
        pids |= {info.get("pid")} - {None, 0}
        # What it needs is ready, so a program that ends again and again has a lasting reason.
        if len(pids) > STARTS_MAX or info.get("statename") == "FATAL":
            raise _not_ready(settings, component, "ends as soon as it has started")
        if info.get("statename") in supervisor.ALIVE and await component.ready(settings):
            return
        if time.monotonic() > deadline:
            raise _not_ready(settings, component, f"is not ready after {component.ready_wait_s} s")
        await asyncio.sleep(POLL_S)


def _not_ready(settings: Settings, component: Component, what: str) -> UserError:
    log = files.log_path(settings, component.name)
    last = logs.tail(log, LOG_LINES_SHOWN)
    return UserError(f"{component.name} {what}. The end of {log}:\n{last}", exit_code=1)


def down(settings: Settings) -> int:
    """Stop everything of this stack; how many processes no supervisor looked after any more."""
    with contextlib.suppress(OSError, Fault):
        daemon = psutil.Process(supervisor.call(settings, "getPID"))
        stores = {each.name for each in components().values() if each.is_store}
        # The stores last: the others finish their batches into stores that still answer.
        for names in (components().keys() - stores, stores):
            stop(settings, names)
        supervisor.call(settings, "shutdown")
        daemon.wait(STOP_WAIT_S)
    left = process.members(settings)
    process.end(left)
    for path in (supervisor.pid_path(settings), files.socket_path(settings)):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the run folder is not empty, and stays
        files.socket_path(settings).parent.rmdir()
    return len(left)


def stop(settings: Settings, names: Collection[str]) -> None:
    """Stop programs, all at once: supervisord's own shutdown stops them one by one."""
    for name in supervisor.states(settings).keys() & names:
        with contextlib.suppress(Fault):
            supervisor.call(settings, "stopProcess", name, False)
    deadline = time.monotonic() + STOP_WAIT_S + POLL_S
    while time.monotonic() < deadline:
        running = {name for name, info in supervisor.states(settings).items() if info["pid"]}
        if not running.intersection(names):
            return
        time.sleep(POLL_S)


def status(settings: Settings) -> list[Standing]:
    """How every component stands, in the order of the data's way.

    Of the groups beside the pipeline only those of which something runs.
    """
    return _run(_status(settings))


async def _status(settings: Settings) -> list[Standing]:
    states = supervisor.states(settings)
    running = {
        each.group for each in components().values() if _state(states.get(each.name, {})) != "down"
    }
    shown = [each for each in components().values() if each.group in {PIPELINE, *running}]
    return await asyncio.gather(*(_standing(settings, each, states) for each in shown))


async def _standing(
    settings: Settings, component: Component, states: dict[str, dict[str, Any]]
) -> Standing:
    info = states.get(component.name, {})
    alive = info.get("statename") in supervisor.ALIVE
    return Standing(
        name=component.name,
        state="elsewhere" if runs_elsewhere(settings, component) else _state(info),
        ready=alive and await component.ready(settings),
        address=component.address(settings),
        pid=info.get("pid") or None,
        uptime_s=info["now"] - info["start"] if info.get("pid") else None,
    )


def _state(info: dict[str, Any]) -> str:
    state = str(info.get("statename", "DOWN")).lower()
    return "down" if state in ("stopped", "exited", "unknown") else state
