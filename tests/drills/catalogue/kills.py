"""Drill 1: kill -9 of every process at random times under load."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Final

from drills.background_load import load, send_chunk
from drills.controls import running_control
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events, answers, settled_audit
from drills.findings import Findings
from drills.outage import Outage, kill_and_measure
from drills.sender import Sender, modelled_events
from local_stack import supervisor
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.replay.replay_batch import Request
from payment_pipeline.replay.replay_outcome import ReplayOutcome
from payment_pipeline.replay.replay_runner import replay
from payment_pipeline.simulator.simulation_run import Faults

VICTIMS: Final = (
    *("gateway", "normalizer", "dispatcher", "worker", "inference"),
    *("kafka", "postgres", "temporal"),
)
RATE_PER_S: Final = 150.0
EVENTS_A_ROUND: Final = 5_000
"""The load continues until so many events are acknowledged, even after the last kill."""
PAUSE_S: Final = (0.2, 1.5)
"""Shortest and longest pause between the end of an outage and the next kill."""
AFTER_RESTART_S_MAX: Final = 5.0
"""Limit for the time from the restart of a process until a new event is in bronze: for the 95th
percentile over all kills of this process."""
JUDGED_FROM_KILLS: Final = 20
"""Fewer kills of a process are too few for a 95th percentile. Then only `STUCK_S` counts."""
STUCK_S: Final = 45.0
"""Limit for the same time when there are few kills."""
CONTROL_EVENTS: Final = 100
CONTROL_ENDS_S: Final = 30.0


def run(context: DrillContext) -> Findings:
    """Kill each of `VICTIMS` once per round, in random order."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    with load(context, ledger, RATE_PER_S, Faults(duplicates=0.02)) as ended:
        asyncio.run(_kill_all(context, ledger, findings))
        while len(answers(ledger).acknowledged) < EVENTS_A_ROUND * context.rounds:
            if ended.wait(1.0):
                findings.require(False, "the load ended too early")
                break
    account_for_events(context, ledger, findings)
    findings.figures["kills"] = len(VICTIMS) * context.rounds
    findings.control_failed = _control(context, findings)
    return findings


async def _kill_all(context: DrillContext, ledger: Path, findings: Findings) -> None:
    settings = context.settings
    sender = Sender(settings, ledger)
    probes = modelled_events(context, len(VICTIMS) * context.rounds)
    taken: dict[str, list[Outage]] = defaultdict(list)
    for _ in range(context.rounds):
        for name in context.rng.sample(VICTIMS, len(VICTIMS)):
            await asyncio.sleep(context.rng.uniform(*PAUSE_S))
            took = await kill_and_measure(settings, name, sender, probes)
            context.progress(
                f"killed {name}: restarted after {took.restarted_s:.1f} s, an event was accepted "
                f"after {took.accepted_s:.1f} s and in bronze after {took.stored_s:.1f} s"
            )
            findings.outages_s.append(took.stored_s)
            taken[name].append(took)
    sender.close()
    for name, each in taken.items():
        findings.figures[f"{name}_recovery_s_p95"] = _p95(took.stored_s for took in each)
        after_s = _p95(took.stored_s - took.restarted_s for took in each)
        findings.figures[f"{name}_after_restart_s_p95"] = after_s
        limit_s = AFTER_RESTART_S_MAX if len(each) >= JUDGED_FROM_KILLS else STUCK_S
        findings.require_in_time(
            after_s <= limit_s,
            f"after the restart of {name}, no event reached bronze for {after_s} s",
        )


def _p95(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return round(ordered[ceil(0.95 * len(ordered)) - 1], 1)


def _control(context: DrillContext, findings: Findings) -> bool:
    """Run a normalizer that commits before it produces: its exit must lose the events it has read.

    The raw topics still have these events, so a replay restores them. Later drills then find no
    lost events.
    """
    settings = context.settings
    context = replace(context, began_at=datetime.now(UTC))
    ledger = context.folder / "control.jsonl"
    supervisor.call(settings, "stopProcess", "normalizer", True)
    try:
        send_chunk(context, ledger, context.rng.randrange(2**31), CONTROL_EVENTS)
        module = "drills.controls.early_commit_normalizer"
        with running_control(settings, module, "normalizer_metrics_port") as (_, process, _):
            process.wait(CONTROL_ENDS_S)
    finally:
        supervisor.start(settings, "normalizer")
    audit = settled_audit(context, ledger)
    context.progress(
        f"control, offsets committed early: the audit misses {audit.missing.count} events"
    )
    window = Window(context.began_at, datetime.now(UTC))
    replayed = asyncio.run(replay(settings, Request(window), lambda _said: None))
    context.progress(f"a replay sent {replayed.outcomes[ReplayOutcome.SENT_ON]} of them on")
    findings.require(
        settled_audit(context, ledger).ok, "a replay did not restore the events of the control"
    )
    return audit.last_seen.get(Stage.RAW, 0) > 0


DRILL = Drill(
    number=1,
    promise="Kill -9 of each process at random times under load loses and duplicates nothing.",
    needs=VICTIMS,
    run=run,
    full_rounds=20,
)
