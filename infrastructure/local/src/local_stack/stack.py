"""Starts and stops the stack, and reads the status of its components."""

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
from local_stack.components import called_by, chosen, components
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import SECURE, Settings

STARTS_MAX: Final = 2
"""The starts of one component after which `up` gives up."""
POLL_S: Final = 0.1
LOG_LINES_SHOWN: Final = 15

Result = TypeVar("Result")

Step = Callable[[Settings], Awaitable[object]]
"""Provisions one store that is ready, idempotently."""


class Watcher:
    """Receives the progress of each component. This one ignores it."""

    def news(self, name: str, text: str) -> None:
        """A component reached a step."""

    def work(self, name: str, more: int, done: int) -> None:
        """A component's preparation found `more` units to do, and did `done` units."""


class ComponentStatus(NamedTuple):
    """The status of one component."""

    name: str
    state: str
    """Supervisord's state in lower case, `down`, or `elsewhere`."""
    ready: bool
    """Whether it does its work. False for a component that runs elsewhere: it is not asked."""
    address: str
    pid: int | None
    uptime_s: int | None


def up(
    settings: Settings,
    provision: Mapping[str, Step],
    only: tuple[str, ...] = (),
    watcher: Watcher | None = None,
    groups: tuple[str, ...] = (),
    *,
    secure: bool = False,
) -> None:
    """Start the chosen components that are down, and return when all of them are ready.

    A second call changes nothing that runs. Nothing starts while a check is red.

    Args:
        settings: of the stack.
        provision: the step that provisions a store once it is ready, by the store's name.
        only: the components to start, with all that they need. Empty: the pipeline and `groups`.
        watcher: receives the progress of each component.
        groups: the groups to start with the pipeline.
        secure: make the stack secure, for this start and all later ones.

    Raises:
        UserError: a check is red, or a component doesn't become ready. Then the message has the end
            of its log. Or the stack should become secure while it runs.
    """
    wanted = chosen(only, groups)
    files.make_folders(settings)
    with files.private(), files.exclusive(files.run_dir(settings) / "up.lock"):
        if secure:
            _make_secure(settings)
        if not supervisor.running(settings):
            # Processes of a killed supervisord still hold their ports, and nothing restarts them.
            process.end(process.members(settings))
        preflight.refuse_if_red(settings, wanted)
        generated_secrets.generate(settings)
        supervisor.ensure(settings)
        _run(_bring_up(settings, wanted, provision, watcher or Watcher()))


def _make_secure(settings: Settings) -> None:
    """Make the servers use TLS and ask who connects, from their next start on.

    Raises:
        UserError: the servers run, and have started without that.
    """
    if settings.secure:
        return
    if _running(settings):
        raise UserError(
            "This stack runs, and was started without --secure. Run `payments down` first.", 1
        )
    (settings.var / SECURE).touch()


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end: in another thread, if this one runs an event loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _bring_up(
    settings: Settings,
    wanted: tuple[Component, ...],
    provision: Mapping[str, Step],
    watcher: Watcher,
) -> None:
    """Start each component as soon as the components that it needs are ready and provisioned."""
    ready = {component.name: asyncio.Event() for component in wanted}
    mistake: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for component in wanted:
                step = provision.get(component.name)
                group.create_task(_bring_up_one(settings, component, ready, step, watcher))
    except* UserError as failures:
        mistake = failures.exceptions[0]
    # If it is raised within `except*`, some versions of Python put it into a group again.
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
        # All that it needs is ready. So if the program ends repeatedly, the reason is permanent.
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
    return UserError(f"{component.name} {what}. The end of {log}:", exit_code=1, output=last)


def down(settings: Settings) -> int:
    """Stop everything of this stack. Returns the number of processes without a supervisord."""
    with contextlib.suppress(OSError, Fault):
        daemon = psutil.Process(supervisor.call(settings, "getPID"))
        stop(settings, components().keys())
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
    """Stop components, each as soon as none of them that calls it runs any more.

    So a stage finishes its batch into a store that still answers.
    """
    asked: set[str] = set()
    left: set[str] | None = None
    deadline = 0.0
    while running := _running(settings).intersection(names):
        if running != left:
            left, deadline = running, time.monotonic() + STOP_WAIT_S + POLL_S
        if time.monotonic() > deadline:
            return
        free = running.difference(*map(called_by, running))
        for name in free - asked:
            with contextlib.suppress(Fault):
                supervisor.call(settings, "stopProcess", name, False)
        asked |= free
        time.sleep(POLL_S)


def _running(settings: Settings) -> set[str]:
    """The programs that have a process, or that supervisord is about to restart."""
    return {
        name
        for name, info in supervisor.states(settings).items()
        if info["pid"] or info["statename"] == "BACKOFF"
    }


def status(settings: Settings) -> list[ComponentStatus]:
    """The status of every component of the pipeline, and of each group that has one running."""
    return _run(_status(settings))


async def _status(settings: Settings) -> list[ComponentStatus]:
    states = supervisor.states(settings)
    known = components().values()
    running = {each.group for each in known if _state(states.get(each.name, {})) != "down"}
    shown = [each for each in known if each.group in {PIPELINE, *running}]
    return await asyncio.gather(*(_status_of(settings, each, states) for each in shown))


async def _status_of(
    settings: Settings, component: Component, states: dict[str, dict[str, Any]]
) -> ComponentStatus:
    info = states.get(component.name, {})
    alive = info.get("statename") in supervisor.ALIVE
    return ComponentStatus(
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
