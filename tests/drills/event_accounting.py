"""What did the drill's own client write down, and does the audit find it all, once?"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from drills.drill import DrillContext
from drills.findings import Findings
from payment_pipeline.domain import client_ledger
from payment_pipeline.domain.client_ledger import UNKNOWN
from payment_pipeline.ledger import run
from payment_pipeline.ledger.audit import Audit
from payment_pipeline.ledger.audit_json import verdict
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.ledger.window import Window

SETTLE_S: Final = 120.0
"""How long the pipeline may take to finish what a drill gave it."""
LOOK_S: Final = 2.0
"""How long one look waits for what no stage has on its topics any more: workflows write it."""


class Answers(NamedTuple):
    """The distinct bodies of a client's ledger, by their best answer."""

    acknowledged: frozenset[str]
    """SHA-256 of each that was answered 200 at least once."""
    unknown: frozenset[str]
    """Of each that never was, but once got no answer at all or a 5xx: it may have been taken."""


def answers(ledger: Path) -> Answers:
    """What the client was answered so far; a half-written last line is not counted."""
    acknowledged: set[str] = set()
    unknown: set[str] = set()
    if ledger.exists():
        for line in ledger.read_bytes().splitlines():
            attempt = client_ledger.load(line)
            if attempt is None:
                continue
            if attempt.answer == 200:
                acknowledged.add(attempt.sha256)
            elif attempt.answer == UNKNOWN or attempt.answer >= 500:
                unknown.add(attempt.sha256)
    return Answers(frozenset(acknowledged), frozenset(unknown - acknowledged))


def settled_audit(context: DrillContext, ledger: Path) -> Audit:
    """What the audit finds as soon as no stage is behind: for a control, which is to lose events.

    Raises:
        TimeoutError: a stage is behind still after `SETTLE_S`.
    """
    deadline = monotonic() + SETTLE_S
    while monotonic() < deadline:
        told = _audited(context, ledger, LOOK_S)
        if told.settled:
            return told.audit
    raise TimeoutError("a stage is behind")


def account_for_events(context: DrillContext, ledger: Path, findings: Findings) -> None:
    """Count what was acknowledged, lost, twice and unknown; name what the audit finds wrong."""
    told = _audited(context, ledger, SETTLE_S)
    known = answers(ledger)
    findings.acknowledged += len(known.acknowledged)
    findings.unknown += len(known.unknown)
    findings.lost += told.audit.missing.count
    findings.duplicated += told.audit.duplicated.count
    findings.require(bool(known.acknowledged), "no event was acknowledged: nothing was tried")
    judged = told.audit.stages[Stage.ACKNOWLEDGED].events
    findings.require(
        judged == len(known.acknowledged), f"the audit judged {judged} of the acknowledged events"
    )
    findings.require(told.ok, verdict(told))
    findings.require(told.settled, "the stages were still behind when the audit's wait ended")


def _audited(context: DrillContext, ledger: Path, wait_s: float) -> run.Report:
    request = run.Request(
        Window(context.began_at, datetime.now(UTC)),
        open_ended=True,
        client_ledger=ledger,
        # One machine, one clock: the drill is over within the minute that is left out otherwise.
        client_edge=timedelta(0),
        wait_s=wait_s,
        through=Stage.BRONZE,
    )
    return asyncio.run(run.run(context.settings, request, lambda _said: None))
