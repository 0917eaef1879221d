"""Drill 2: the broker is frozen at first, and then dead."""

import asyncio
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

import psutil

from drills.controls import running_control
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events, settled_audit
from drills.findings import Findings
from drills.outage import seconds_to_bronze
from drills.sender import Answered, Sender, modelled_events
from local_stack import supervisor
from payment_pipeline.domain.failures import UserError
from payment_pipeline.simulator.world import Event
from support import processes

DOWN_S_A_ROUND: Final = 6.0
DOWN_S_MAX: Final = 60.0
"""Longest time for each of the two outages, frozen and dead."""
SENDERS: Final = 32
EVENTS_MAX: Final = 200_000
"""More events than the senders can send during the drill."""
UP_S: Final = 2.0
"""Traffic before the outage."""
PAUSE_S: Final = 0.1
REFUSAL_S_MAX: Final = 2.5
"""Limit for the 99th percentile of the time to a 503."""
GROWTH_MIB_MAX: Final = 64
"""Limit for the growth of the gateway's memory: the bodies that it may hold at the same time."""
CONTROL_EVENTS: Final = 30
CONNECT_TRIES_MAX: Final = 10
CONNECT_S_MAX: Final = 3.0
MIB: Final = 1024**2


class Exchange(NamedTuple):
    """One request and its answer, with times of the monotonic clock."""

    began: float
    ended: float
    answered: Answered


def run(context: DrillContext) -> Findings:
    """Freeze the broker, kill it, and start it again, under constant load."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    controlled = replace(context, folder=context.folder / "control", began_at=datetime.now(UTC))
    controlled.folder.mkdir(exist_ok=True)
    false = asyncio.run(_outages(context, controlled, ledger, findings))
    account_for_events(context, ledger, findings)
    lost = settled_audit(controlled, controlled.folder / "ledger.jsonl").missing.count
    context.progress(
        f"control, answered before the ack: 200 to {false} events, of which {lost} are lost"
    )
    findings.control_failed = false > 0 and lost > 0
    return findings


async def _outages(
    context: DrillContext, controlled: DrillContext, ledger: Path, findings: Findings
) -> int:
    """Cause both outages under load.

    Returns:
        The number of events that the control answered 200 while the broker was frozen.
    """
    settings = context.settings
    down_s = min(DOWN_S_A_ROUND * context.rounds, DOWN_S_MAX)
    traffic = Traffic(context, ledger)
    memory = _Memory(processes.pid_of(settings, "gateway"))
    module = "drills.controls.eager_gateway"
    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        group.create_task(memory.watch())
        try:
            with running_control(settings, module, "gateway_port") as (port, _, _):
                await _control_ready(controlled, port)
                await asyncio.sleep(UP_S)
                processes.freeze(settings, "kafka")
                began = monotonic()
                false = await _send_to(controlled, port)
                await asyncio.sleep(max(0.0, down_s - (monotonic() - began)))
            # The control is dead now, and the events that it held in memory are lost.
            froze_s = monotonic() - began
            # Stop the program first, so that supervisord does not restart the killed broker.
            supervisor.call(settings, "stopProcess", "kafka", False)
            processes.kill(settings, "kafka")
            await asyncio.sleep(down_s)
        finally:
            with suppress(UserError):  # the broker is dead, as it should be
                processes.kill(settings, "kafka", signal.SIGCONT)
            ended = monotonic()
            supervisor.start(settings, "kafka")
        await processes.wait_ready(settings, "kafka")
        probe = next(modelled_events(context, 1))
        sender = Sender(settings, ledger)
        took_s = await seconds_to_bronze(settings, sender, probe)
        sender.close()
        findings.outages_s.append(monotonic() - ended)
        context.progress(
            f"frozen for {froze_s:.0f} s, dead for {down_s:.0f} s; an event was in bronze "
            f"{findings.outages_s[-1]:.1f} s after the start, {took_s:.1f} s after its sending"
        )
        traffic.stop()
        memory.stop()
    _judge(traffic.during(began, ended), began, findings)
    findings.figures["gateway_growth_mib"] = round(memory.growth_mib)
    findings.require(
        memory.growth_mib <= GROWTH_MIB_MAX, "the gateway's memory grew past its bound"
    )
    return false


def _judge(exchanges: list[Exchange], froze: float, findings: Findings) -> None:
    answered = [each.answered for each in exchanges]
    refused = sorted(each.took_s for each in answered if each.status == 503)
    false_s = [each.ended - froze for each in exchanges if each.answered.status == 200]
    other = sum(each.status not in (200, 503) for each in answered)
    findings.figures |= {
        "refused_503": len(refused),
        "false_200": len(false_s),
        "other_answers": other,
    }
    findings.require(bool(refused), "no request was answered 503 during the outages")
    findings.require(
        not false_s,
        f"{len(false_s)} events were answered 200 during the outages, the first of them "
        f"{', '.join(f'{each:.2f}' for each in sorted(false_s)[:5])} s after it froze",
    )
    findings.require(not other, f"{other} events were answered neither 200 nor 503, or not at all")
    if refused:
        p99_s = refused[int(0.99 * (len(refused) - 1))]
        findings.figures["p99_503_s"] = round(p99_s, 2)
        findings.require_in_time(
            p99_s < REFUSAL_S_MAX, f"the 99th percentile of a 503 was {p99_s:.2f} s"
        )


class Traffic:
    """Sends events to the gateway, and repeats each until it is answered 200, as providers do."""

    def __init__(self, context: DrillContext, ledger: Path) -> None:
        self._ground = context
        self._ledger = ledger
        self._events: Iterator[Event] = modelled_events(context, EVENTS_MAX)
        self._again: deque[Event] = deque()
        self._stopped = False
        self._answered: list[Exchange] = []

    async def run(self) -> None:
        """Send new events until stopped, then retry the events without a 200."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send())

    def stop(self) -> None:
        """Send no new events."""
        self._stopped = True

    def during(self, began: float, ended: float) -> list[Exchange]:
        """Return the exchanges that began and ended between two times of the monotonic clock."""
        return [each for each in self._answered if each.began > began and each.ended < ended]

    async def _send(self) -> None:
        sender = Sender(self._ground.settings, self._ledger)
        while self._again or not self._stopped:
            event = self._again.popleft() if self._again else next(self._events)
            start = monotonic()
            answered = await sender.send(event)
            self._answered.append(Exchange(start, monotonic(), answered))
            if answered.status != 200:
                self._again.append(event)
            await asyncio.sleep(PAUSE_S)
        sender.close()


class _Memory:
    """Measures the largest growth of a process's memory since the start."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._first = self._most = self._process.memory_info().rss
        self._stopped = asyncio.Event()

    async def watch(self) -> None:
        """Measure every half second until stopped."""
        while not self._stopped.is_set():
            self._most = max(self._most, self._process.memory_info().rss)
            await asyncio.sleep(0.5)

    def stop(self) -> None:
        self._stopped.set()

    @property
    def growth_mib(self) -> float:
        return (self._most - self._first) / MIB


async def _control_ready(controlled: DrillContext, port: int) -> None:
    """Wait until the control's producer is connected: one of its events is in bronze.

    Before that, the control loses events because it is not connected.
    """
    sender = Sender(controlled.settings, controlled.folder / "ready.jsonl", port)
    for probe in modelled_events(controlled, CONNECT_TRIES_MAX):
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                await seconds_to_bronze(controlled.settings, sender, probe)
        except TimeoutError:
            continue
        sender.close()
        return
    raise RuntimeError(f"The control's producer did not connect in {CONNECT_TRIES_MAX} tries.")


async def _send_to(controlled: DrillContext, port: int) -> int:
    """Send events to the control while the broker is frozen, and count the answers 200."""
    sender = Sender(controlled.settings, controlled.folder / "ledger.jsonl", port)
    answered = [await sender.send(event) for event in modelled_events(controlled, CONTROL_EVENTS)]
    sender.close()
    return sum(each.status == 200 for each in answered)


DRILL = Drill(
    number=2,
    promise="While the broker is frozen or dead: a prompt 503, no false 200, bounded memory.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=10,
)
