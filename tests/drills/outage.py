"""How long is the pipeline away when one of its processes dies? A probe's way to bronze tells."""

import asyncio
import socket
from collections.abc import Iterator
from time import monotonic
from typing import Final, NamedTuple

import psycopg

from drills.sender import Sender
from local_stack import supervisor
from local_stack.components import components
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.world import Event
from support import processes

POLL_S: Final = 0.05
RECOVERY_S_MAX: Final = 90.0
"""After so long it is not slow, but down."""
STORED: Final = "SELECT count(*) FROM payment_events WHERE event_id = %s"


class Outage(NamedTuple):
    """From the kill on."""

    restarted_s: float
    """Until the new process listened on its port."""
    accepted_s: float
    """Until an event that was first sent after the kill had its 200."""
    stored_s: float
    """Until that event was in bronze."""


async def kill_and_measure(
    settings: Settings, name: str, sender: Sender, probes: Iterator[Event]
) -> Outage:
    """Kill a component's processes with SIGKILL, and wait until the pipeline works again.

    Raises:
        UserError: it is not running, or its port is not its own.
        TimeoutError: it didn't work again within `RECOVERY_S_MAX`.
    """
    began = monotonic()
    killed = processes.kill(settings, name)
    async with asyncio.timeout(RECOVERY_S_MAX), asyncio.TaskGroup() as group:
        restarted = group.create_task(_restarted(settings, name, killed, began))
        recovered = group.create_task(_through(settings, sender, next(probes), began))
    # What is not on an event's way may be slower than the event.
    await processes.wait_ready(settings, name, not_pid=killed)
    accepted_s, stored_s = recovered.result()
    return Outage(restarted.result(), accepted_s, max(stored_s, restarted.result()))


async def seconds_to_bronze(settings: Settings, sender: Sender, probe: Event) -> float:
    """Seconds that one event takes from its first attempt to bronze."""
    _accepted_s, stored_s = await _through(settings, sender, probe, monotonic())
    return stored_s


async def _restarted(settings: Settings, name: str, killed: int, began: float) -> float:
    port = getattr(settings, components()[name].ports[0])
    while True:
        info = supervisor.states(settings).get(name, {})
        with socket.socket() as caller:
            if info.get("pid") not in (None, 0, killed) and not caller.connect_ex(
                (settings.host, port)
            ):
                return monotonic() - began
        await asyncio.sleep(POLL_S)


async def _through(
    settings: Settings, sender: Sender, probe: Event, began: float
) -> tuple[float, float]:
    """Seconds until its 200, and until it is in bronze."""
    accepted_s: float | None = None
    while True:
        if accepted_s is None and (await sender.send(probe)).status == 200:
            accepted_s = monotonic() - began
        if accepted_s is not None and await asyncio.to_thread(_stored, settings, probe.event_id):
            return accepted_s, monotonic() - began
        await asyncio.sleep(POLL_S)


def _stored(settings: Settings, event_id: str) -> bool:
    try:
        with psycopg.connect(settings.dsn, connect_timeout=2) as connection:
            return connection.execute(STORED, [event_id]).fetchone() == (1,)
    except psycopg.OperationalError:  # it is what was killed
        return False
