"""Measures the outage after the kill of a process: the time until a new event is in bronze."""

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
OUTAGE_S_MAX: Final = 90.0
"""A longer outage counts as a failure, not as a slow restart."""
STORED: Final = "SELECT count(*) FROM payment_events WHERE event_id = %s"


class Outage(NamedTuple):
    """Times since the kill, in seconds."""

    restarted_s: float
    """Until the new process listened on its port."""
    accepted_s: float
    """Until an event that was first sent after the kill was answered 200."""
    stored_s: float
    """Until this event was in bronze, and the new process listened."""


async def kill_and_measure(
    settings: Settings, name: str, sender: Sender, probes: Iterator[Event]
) -> Outage:
    """Kill the processes of a component with SIGKILL, and wait until the pipeline works again.

    Raises:
        UserError: the component is not running, or another process listens on its port.
        TimeoutError: the pipeline did not work again within `OUTAGE_S_MAX`.
    """
    began = monotonic()
    killed = processes.kill(settings, name)
    async with asyncio.timeout(OUTAGE_S_MAX), asyncio.TaskGroup() as group:
        restarted = group.create_task(_restarted(settings, name, killed, began))
        probed = group.create_task(_probe(settings, sender, next(probes), began))
    # A component that an event does not pass through may become ready later than the event arrives.
    await processes.wait_ready(settings, name, not_pid=killed)
    accepted_s, stored_s = probed.result()
    return Outage(restarted.result(), accepted_s, max(stored_s, restarted.result()))


async def seconds_to_bronze(settings: Settings, sender: Sender, probe: Event) -> float:
    """Send one event, and return the seconds from the first attempt until bronze has its row."""
    _accepted_s, stored_s = await _probe(settings, sender, probe, monotonic())
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


async def _probe(
    settings: Settings, sender: Sender, probe: Event, began: float
) -> tuple[float, float]:
    """Return the seconds until the answer 200, and until bronze has the row."""
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
    except psycopg.OperationalError:  # PostgreSQL is the killed component
        return False
