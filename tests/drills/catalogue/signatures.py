"""Drill 5: forged signatures among valid ones."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from time import time
from typing import Final

from drills.controls import running_control, wait_until_ready
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events
from drills.findings import Findings
from drills.forgeries import mutated
from drills.sender import Answered, Sender, modelled_events
from payment_pipeline.providers import providers
from payment_pipeline.simulator.world import Event

MUTATIONS_A_ROUND: Final = 5_000
VALID_EVERY: Final = 100
"""One event in this many has a valid signature."""
SENDERS: Final = 32
CONTROL_MUTATIONS: Final = 50


def run(context: DrillContext) -> Findings:
    """Send forged and valid webhooks: all valid ones and no forged ones must be accepted."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    count = MUTATIONS_A_ROUND * context.rounds
    sent = asyncio.run(_send_all(context, ledger, count + count // VALID_EVERY))
    forged, valid = sent[True], sent[False]
    findings.tries = forged.total()
    errors = sum(n for status, n in forged.items() if not 200 <= status < 500)
    rejected = valid.total() - valid[200]
    findings.figures = {
        "mutations": forged.total(),
        "false_accepts": forged[200],
        "server_errors_or_silence": errors,
        "valid": valid.total(),
        "false_rejects": rejected,
    }
    findings.require(not forged[200], f"{forged[200]} forged webhooks were accepted")
    findings.require(not errors, f"{errors} forged webhooks made the gateway fail")
    findings.require(not rejected, f"{rejected} valid webhooks were rejected")
    account_for_events(context, ledger, findings)
    module = "drills.controls.trusting_gateway"
    with running_control(context.settings, module, "gateway_port") as (port, _, probes):
        trusting = asyncio.run(_control(context, port, probes))
    context.progress(
        f"control, every signature is valid: {trusting} of {CONTROL_MUTATIONS} accepted"
    )
    findings.control_failed = trusting > 0
    return findings


async def _send_all(context: DrillContext, ledger: Path, count: int) -> dict[bool, Counter[int]]:
    """Send the webhooks, and count the answers by status, for forged (True) and valid (False)."""
    answers: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    numbered = enumerate(modelled_events(context, count))

    async def send() -> None:
        sender = Sender(context.settings, ledger)
        for number, event in numbered:
            forged = number % (VALID_EVERY + 1) > 0
            answered = await (_forge(context, sender, event) if forged else sender.send(event))
            answers[forged][_number(answered)] += 1
        sender.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(send())
    return answers


def _number(answered: Answered) -> int:
    """Return the status, or 0 without an answer."""
    return 0 if answered.status == "unknown" else answered.status


async def _forge(context: DrillContext, sender: Sender, event: Event) -> Answered:
    secret = context.settings.signing_secrets(providers()["stripe"])[0]
    # Seeded per event, because the senders race: each event is always forged in the same way.
    rng = Random(f"{context.seed}/{event.event_id}")
    header, body = mutated(rng, event.body, secret, int(time()))
    return await sender.send(event, header, body)


async def _control(context: DrillContext, port: int, probes: int) -> int:
    await wait_until_ready(context.settings, probes)
    sender = Sender(context.settings, context.folder / "control.jsonl", port)
    events: Iterator[Event] = islice(modelled_events(context, CONTROL_MUTATIONS), CONTROL_MUTATIONS)
    answered = [await _forge(context, sender, event) for event in events]
    sender.close()
    return sum(each.status == 200 for each in answered)


DRILL = Drill(
    number=5,
    promise="No forged signature is accepted or breaks the gateway; no valid one is rejected.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=20,
)
