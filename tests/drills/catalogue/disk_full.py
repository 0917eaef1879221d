"""Drill 10: the disk fills up under Kafka, PostgreSQL and Temporal."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from drills.controls import control
from drills.findings import Findings, SkippedError
from drills.ground import Drill, Ground
from drills.ledger import account, settled_audit
from drills.load import load
from drills.recovery import through
from drills.sender import Sender, modelled
from local_stack import files, stack
from payment_operations import stack_start
from payment_pipeline.simulator.run import Faults
from support import isolated

DISK_MIB: Final = {"kafka": 256, "postgres": 320, "temporal": 160}
RATE_PER_S: Final = 50.0
FULL_S_A_ROUND: Final = 8.0
FULL_S_MAX: Final = 60.0
BLOCK: Final = bytes(1024**2)
CONTROL_EVENTS: Final = 50
NEEDS: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")


def run(ground: Ground) -> Findings:
    """Fill each store's disk under load, make room again, and account for every event."""
    found = Findings()
    var = ground.folder / "stack"
    var.mkdir()
    with ExitStack() as undo:
        for name, mib in DISK_MIB.items():
            undo.enter_context(_disk(var / name, mib))
        settings = isolated.settings(var, cache=ground.settings.cache)
        shutil.copytree(files.var(ground.settings) / "models", var / "models")
        undo.callback(stack.down, settings)
        stack_start.up(settings, only=NEEDS)
        ground = replace(ground, settings=settings, began_at=datetime.now(UTC))
        ledger = ground.folder / "ledger.jsonl"
        with load(ground, ledger, RATE_PER_S, Faults()):
            for name in ground.dice.sample(list(DISK_MIB), len(DISK_MIB)):
                _fill_and_free(ground, var / name, ledger, found)
        account(ground, ledger, found)
        found.figures["disks_filled"] = len(DISK_MIB)
        found.control_failed = _control(ground, var / "kafka")
    return found


def _fill_and_free(ground: Ground, disk: Path, ledger: Path, found: Findings) -> None:
    settings = ground.settings
    time.sleep(1.0)  # under load, as everything here
    with _full(disk):
        time.sleep(min(FULL_S_A_ROUND * ground.rounds, FULL_S_MAX))
    began = time.monotonic()
    stack_start.up(settings, only=NEEDS)
    asyncio.run(_probe(ground, ledger))
    found.recovery_s.append(time.monotonic() - began)
    ground.say(f"{disk.name}'s disk was full; {found.recovery_s[-1]:.1f} s after it had room again")


async def _probe(ground: Ground, ledger: Path) -> None:
    sender = Sender(ground.settings, ledger)
    await through(ground.settings, sender, next(modelled(ground, 1)))
    sender.close()


def _control(ground: Ground, disk: Path) -> bool:
    """A gateway that answers before the broker's ack, while the broker's disk is full."""
    ground = replace(ground, began_at=datetime.now(UTC))
    settings, ledger = ground.settings, ground.folder / "control.jsonl"

    async def send(port: int) -> None:
        sender = Sender(settings, ledger, port)
        for event in modelled(ground, CONTROL_EVENTS):
            await sender.send(event)
        sender.close()

    module = "drills.controls.eager_gateway"
    with control(settings, module, "gateway_port") as (port, _), _full(disk):
        asyncio.run(send(port))
    stack_start.up(settings, only=NEEDS)
    lost = settled_audit(ground, ledger).missing.count
    ground.say(f"control, answered before the ack: of {CONTROL_EVENTS} events {lost} are lost")
    return lost > 0


@contextmanager
def _disk(path: Path, mib: int) -> Iterator[None]:
    """A filesystem of a limited size, in memory.

    Raises:
        SkippedError: it can't be mounted.
    """
    path.mkdir()
    options = f"size={mib}m,mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        raise SkippedError(
            "it needs filesystems of a limited size, and this user may not mount any: run "
            "`make chaos ARGS=disk-full` as root on Linux"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Not a byte is left on the disk, until the block ends."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(BLOCK)
    try:
        yield
    finally:
        ballast.unlink()


DRILL = Drill(
    number=10,
    promise="A full disk under a store stops the flow and loses nothing once there is room again.",
    needs=NEEDS,
    run=run,
    full_rounds=8,
)
