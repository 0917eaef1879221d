"""Drill 10: the disk fills up under Kafka, PostgreSQL and Temporal."""

import asyncio
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from drills.background_load import load
from drills.controls import running_control
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events, settled_audit
from drills.findings import Findings, SkippedError
from drills.outage import seconds_to_bronze
from drills.sender import Sender, modelled_events
from local_stack import files, stack
from payment_operations import stack_start
from payment_pipeline.simulator.simulation_run import Faults
from support import isolated, limited_disk

DISK_MIB: Final = {"kafka": 256, "postgres": 320, "temporal": 160}
RATE_PER_S: Final = 50.0
FULL_S_A_ROUND: Final = 8.0
FULL_S_MAX: Final = 60.0
CONTROL_EVENTS: Final = 50
NEEDS: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")


def run(context: DrillContext) -> Findings:
    """Fill the disk of each store under load, free it again, and account for every event."""
    findings = Findings()
    var = context.folder / "stack"
    var.mkdir(mode=0o700)
    with ExitStack() as undo:
        for name, mib in DISK_MIB.items():
            _mount(undo, var / name, mib)
        settings = isolated.settings(var, cache=context.settings.cache)
        shutil.copytree(files.var(context.settings) / "models", var / "models")
        undo.callback(stack.down, settings)
        stack_start.up(settings, only=NEEDS)
        context = replace(context, settings=settings, began_at=datetime.now(UTC))
        ledger = context.folder / "ledger.jsonl"
        with load(context, ledger, RATE_PER_S, Faults()):
            for name in context.rng.sample(list(DISK_MIB), len(DISK_MIB)):
                _fill_and_free(context, var / name, ledger, findings)
        account_for_events(context, ledger, findings)
        findings.figures["disks_filled"] = len(DISK_MIB)
        findings.control_failed = _control(context, var / "kafka")
    return findings


def _mount(undo: ExitStack, path: Path, mib: int) -> None:
    try:
        undo.enter_context(limited_disk.limited(path, mib))
    except limited_disk.CannotMountError:
        raise SkippedError(
            "this drill mounts filesystems of a limited size, and this user may not mount any. "
            "Run `make chaos ARGS=disk-full` as root on Linux."
        ) from None


def _fill_and_free(context: DrillContext, disk: Path, ledger: Path, findings: Findings) -> None:
    settings = context.settings
    time.sleep(1.0)  # let the load run before the disk is full
    with limited_disk.full(disk):
        time.sleep(min(FULL_S_A_ROUND * context.rounds, FULL_S_MAX))
    began = time.monotonic()
    stack_start.up(settings, only=NEEDS)
    asyncio.run(_probe(context, ledger))
    findings.outages_s.append(time.monotonic() - began)
    context.progress(
        f"{disk.name}'s disk was full; {findings.outages_s[-1]:.1f} s after it had room again"
    )


async def _probe(context: DrillContext, ledger: Path) -> None:
    sender = Sender(context.settings, ledger)
    await seconds_to_bronze(context.settings, sender, next(modelled_events(context, 1)))
    sender.close()


def _control(context: DrillContext, disk: Path) -> bool:
    """Run a gateway that answers before the broker acknowledges, while Kafka's disk is full."""
    context = replace(context, began_at=datetime.now(UTC))
    settings, ledger = context.settings, context.folder / "control.jsonl"

    async def send(port: int) -> None:
        sender = Sender(settings, ledger, port)
        for event in modelled_events(context, CONTROL_EVENTS):
            await sender.send(event)
        sender.close()

    module = "drills.controls.eager_gateway"
    with running_control(settings, module, "gateway_port") as (port, _, _), limited_disk.full(disk):
        asyncio.run(send(port))
    stack_start.up(settings, only=NEEDS)
    lost = settled_audit(context, ledger).missing.count
    context.progress(
        f"control, answered before the ack: of {CONTROL_EVENTS} events {lost} are lost"
    )
    return lost > 0


DRILL = Drill(
    number=10,
    promise="A full disk stops the flow; once the disk has room again, nothing is lost.",
    needs=NEEDS,
    run=run,
    full_rounds=8,
)
