"""Drill 4: signed bodies that pass one parser and break the next one (poison)."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final, NamedTuple

import orjson
import psycopg

from drills.controls import running_control
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events
from drills.findings import Findings
from drills.outage import seconds_to_bronze
from drills.poison_repair import PoisonedBody, redrive_repaired
from drills.sender import Sender, modelled_events
from local_stack import supervisor
from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.simulator.malformed import MALFORMATIONS
from payment_pipeline.simulator.shapes import Json
from payment_pipeline.simulator.world import Event

STALL_S_MAX: Final = 1.0
"""Limit for the extra time to bronze of an event behind poison on the same partition.

The limit holds for the median over the rounds, for each kind of poison: a kind that blocks the
partition blocks it every time."""
BASELINE_EVENTS: Final = 10
DEPTH: Final = 200_000
QUARANTINE_S_MAX: Final = 30.0
CONTROL_ENDS_S_MAX: Final = 60.0
CONTROL_WAIT_S: Final = 2.0
CLASS: Final = "SELECT failure FROM payment_events_quarantine WHERE body_sha256 = %s"


class Poison(NamedTuple):
    """One way to make a bad body."""

    name: str
    spoil: Callable[[Event], bytes]
    failure: FailureClass | None
    """The expected failure class; None for a genuine event without a model."""


def _spoiled(spoil: Callable[[Json], bytes]) -> Callable[[Event], bytes]:
    def spoiled(event: Event) -> bytes:
        return spoil(orjson.loads(event.body))

    return spoiled


def _deepest(event: Event) -> bytes:
    parsed = orjson.loads(event.body)
    parsed["data"]["object"]["metadata"] = "DEEP"
    return orjson.dumps(parsed).replace(b'"DEEP"', b"[" * DEPTH + b"]" * DEPTH)


def _unknown_type(event: Event) -> bytes:
    return orjson.dumps({**orjson.loads(event.body), "type": "quantum.entangled"})


CORPUS: Final = (
    *(Poison(each.name, _spoiled(each.spoil), each.failure) for each in MALFORMATIONS),
    Poison("depth_200_000", _deepest, FailureClass.UNPARSEABLE),
    Poison("unknown_type", _unknown_type, None),
)


def run(context: DrillContext) -> Findings:
    """Send each kind of poison and then a good event of the same payment, and repair the poison."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    asyncio.run(_drill(context, ledger, findings))
    account_for_events(context, ledger, findings)
    findings.control_failed = asyncio.run(_control(context))
    return findings


async def _drill(context: DrillContext, ledger: Path, findings: Findings) -> None:
    settings = context.settings
    sender = Sender(settings, ledger)
    usual_s = median(
        [
            await seconds_to_bronze(settings, sender, event)
            for event in _charges(context, BASELINE_EVENTS)
        ]
    )
    stalls: dict[str, list[float]] = {kind.name: [] for kind in CORPUS}
    wanted: dict[str, Poison] = {}
    refused: dict[str, PoisonedBody] = {}
    for _ in range(context.rounds):
        kinds = context.rng.sample(CORPUS, len(CORPUS))
        events = _charges(context, 2 * len(CORPUS))
        for kind in kinds:
            # Two events of one payment have one key, so they share a partition.
            good, model = next(events), next(events)
            genuine = _of_payment(model, good)
            body = kind.spoil(model._replace(body=genuine))
            digest = sha256(body).hexdigest()
            wanted[digest] = kind
            if kind.failure:
                refused[digest] = PoisonedBody(kind.name, model.event_id, body, genuine)
            answer = await sender.send(model, body=body)
            findings.require(answer.status == 200, f"{kind.name} was answered {answer.status}")
            stalls[kind.name].append(await seconds_to_bronze(settings, sender, good) - usual_s)
    sender.close()
    for name, stalled in stalls.items():
        findings.require_in_time(
            median(stalled) < STALL_S_MAX,
            f"after {name} an event comes {median(stalled):.1f} s later than else",
        )
    findings.figures = {
        "poisoned": len(wanted),
        "usual_s": round(usual_s, 2),
        "stall_s_median_of_worst": round(max(map(median, stalls.values())), 2),
        "stall_s_max": round(max(map(max, stalls.values())), 2),
        "rightly_classed": await _classed(context, wanted, findings),
    }
    await redrive_repaired(settings, refused, findings)


async def _classed(context: DrillContext, wanted: dict[str, Poison], findings: Findings) -> int:
    """Count the bodies that are quarantined with the right failure class, or are unmodelled."""
    deadline = monotonic() + QUARANTINE_S_MAX
    right = 0
    for digest, kind in wanted.items():
        classes = _failures(context, digest)
        while kind.failure and not classes and monotonic() < deadline:
            await asyncio.sleep(0.2)
            classes = _failures(context, digest)
        expected = {kind.failure} if kind.failure else set()
        right += classes == expected
        findings.require(
            classes == expected, f"{kind.name} is quarantined as {classes}, not {expected}"
        )
    return right


def _failures(context: DrillContext, digest: str) -> set[str]:
    with psycopg.connect(context.settings.dsn) as connection:
        return {row[0] for row in connection.execute(CLASS, [digest])}


def _charges(context: DrillContext, count: int) -> Iterator[Event]:
    """Simulate charges. They have an amount, so every kind of poison applies to them."""
    charges = (
        each for each in modelled_events(context, 20 * count) if each.type == "charge.succeeded"
    )
    return (each for _, each in zip(range(count), charges, strict=False))


def _of_payment(model: Event, other: Event) -> bytes:
    """Return the body of `model`, moved to the payment of `other`."""
    parsed, theirs = orjson.loads(model.body), orjson.loads(other.body)
    parsed["data"]["object"]["payment_intent"] = theirs["data"]["object"]["payment_intent"]
    return orjson.dumps(parsed)


async def _control(context: DrillContext) -> bool:
    """Run a normalizer that exits at unreadable events: the good event behind must not arrive."""
    settings = context.settings
    context = replace(context, began_at=datetime.now(UTC))
    sender = Sender(settings, context.folder / "control.jsonl")
    supervisor.call(settings, "stopProcess", "normalizer", True)
    try:
        module = "drills.controls.brittle_normalizer"
        good, model = _charges(context, 2)
        spoil = next(kind.spoil for kind in CORPUS if kind.name == "no_amount")
        await sender.send(model, body=spoil(model._replace(body=_of_payment(model, good))))
        with running_control(settings, module, "normalizer_metrics_port") as (_, brittle, _):
            await asyncio.to_thread(brittle.wait, CONTROL_ENDS_S_MAX)
        try:
            async with asyncio.timeout(CONTROL_WAIT_S):
                await seconds_to_bronze(settings, sender, good)
            stalled = False
        except TimeoutError:
            stalled = True
    finally:
        supervisor.start(settings, "normalizer")
    sender.close()
    effect = "it exited, and the partition stalled" if stalled else "the partition continued"
    context.progress(f"control, a normalizer that raises: {effect}")
    return stalled


DRILL = Drill(
    number=4,
    promise="Poison is quarantined for the right reason, blocks nothing, and can be repaired.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=10,
)
