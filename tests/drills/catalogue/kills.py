"""Drill 1: kill -9 of every process at random moments under load."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Final

from drills.controls import control
from drills.findings import Findings
from drills.ground import Drill, Ground
from drills.ledger import account, answers, settled_audit
from drills.load import load, send_chunk
from drills.recovery import Recovery, kill
from drills.sender import Sender, modelled
from local_stack import supervisor
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.ledger.window import Window
from payment_pipeline.replay.batch import Request
from payment_pipeline.replay.run import replay
from payment_pipeline.replay.standing import Standing
from payment_pipeline.simulator.run import Faults

VICTIMS: Final = (
    *("gateway", "normalizer", "dispatcher", "worker", "inference"),
    *("kafka", "postgres", "temporal"),
)
RATE_PER_S: Final = 150.0
EVENTS_A_ROUND: Final = 5_000
"""The load goes on until it has been acknowledged so many, however quick the kills."""
PAUSE_S: Final = (0.2, 1.5)
"""Between a recovery and the next kill."""
AFTER_RESTART_S_MAX: Final = 5.0
"""Of the 95th percentile, over the kills of one process: what the pipeline may take beyond the
restart itself."""
JUDGED_FROM_KILLS: Final = 20
"""Fewer kills of a process say nothing of a 95th percentile: with them only `STUCK_S` counts."""
STUCK_S: Final = 45.0
CONTROL_EVENTS: Final = 100
CONTROL_ENDS_S: Final = 30.0


def run(ground: Ground) -> Findings:
    """Kill each of `VICTIMS` once a round, in random order."""
    found = Findings()
    ledger = ground.folder / "ledger.jsonl"
    with load(ground, ledger, RATE_PER_S, Faults(duplicates=0.02)) as ended:
        asyncio.run(_kill_all(ground, ledger, found))
        while len(answers(ledger).acknowledged) < EVENTS_A_ROUND * ground.rounds:
            if ended.wait(1.0):
                found.require(False, "the load ended early")
                break
    account(ground, ledger, found)
    found.figures["kills"] = len(VICTIMS) * ground.rounds
    found.control_failed = _control(ground, found)
    return found


async def _kill_all(ground: Ground, ledger: Path, found: Findings) -> None:
    settings = ground.settings
    sender = Sender(settings, ledger)
    probes = modelled(ground, len(VICTIMS) * ground.rounds)
    taken: dict[str, list[Recovery]] = defaultdict(list)
    for _ in range(ground.rounds):
        for name in ground.dice.sample(VICTIMS, len(VICTIMS)):
            await asyncio.sleep(ground.dice.uniform(*PAUSE_S))
            took = await kill(settings, name, sender, probes)
            ground.say(
                f"killed {name}: restarted after {took.restarted_s:.1f} s, an event was accepted "
                f"after {took.accepted_s:.1f} s and in bronze after {took.recovered_s:.1f} s"
            )
            found.recovery_s.append(took.recovered_s)
            taken[name].append(took)
    sender.close()
    for name, each in taken.items():
        found.figures[f"{name}_recovery_s_p95"] = _p95(took.recovered_s for took in each)
        after_s = _p95(took.recovered_s - took.restarted_s for took in each)
        found.figures[f"{name}_after_restart_s_p95"] = after_s
        limit_s = AFTER_RESTART_S_MAX if len(each) >= JUDGED_FROM_KILLS else STUCK_S
        found.require_in_time(
            after_s <= limit_s, f"{name} was back, but no event got through for {after_s} s more"
        )


def _p95(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return round(ordered[ceil(0.95 * len(ordered)) - 1], 1)


def _control(ground: Ground, found: Findings) -> bool:
    """A normalizer that commits before it has produced: its death must lose what it had read.

    The gateway's topics still have it, so a replay brings it back; nothing is left for other drills
    to find.
    """
    settings = ground.settings
    ground = replace(ground, began_at=datetime.now(UTC))
    ledger = ground.folder / "control.jsonl"
    supervisor.call(settings, "stopProcess", "normalizer", True)
    try:
        send_chunk(ground, ledger, ground.dice.randrange(2**31), CONTROL_EVENTS)
        module = "drills.controls.early_commit"
        with control(settings, module, "normalizer_metrics_port") as (_, process):
            process.wait(CONTROL_ENDS_S)
    finally:
        supervisor.start(settings, "normalizer")
    told = settled_audit(ground, ledger)
    ground.say(f"control, offsets committed early: the audit misses {told.missing.count} events")
    window = Window(ground.began_at, datetime.now(UTC))
    replayed = asyncio.run(replay(settings, Request(window), lambda _said: None))
    ground.say(f"a replay sent {replayed.standings[Standing.SENT_ON]} of them on")
    found.require(
        settled_audit(ground, ledger).ok, "a replay did not bring back what the control had lost"
    )
    return told.last_seen.get(Stage.RAW, 0) > 0


DRILL = Drill(
    number=1,
    promise="Kill -9 of each process at random moments under load loses nothing, doubles nothing.",
    needs=VICTIMS,
    run=run,
    full_rounds=20,
)
