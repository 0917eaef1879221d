"""Accounts for every event of a drill: compares the client ledger with the audit."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from drills.drill import DrillContext
from drills.findings import Findings
from payment_pipeline.domain import client_ledger
from payment_pipeline.domain.client_ledger import UNKNOWN
from payment_pipeline.ledger import audit_runner
from payment_pipeline.ledger.audit_json import verdict
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.reconciliation import Audit
from payment_pipeline.ledger.stages import Stage

SETTLE_S: Final = 120.0
"""How long the pipeline may take to process the events of a drill."""
AUDIT_WAIT_S: Final = 2.0
"""How long one audit waits for events that are in no topic any more and not yet in bronze."""


class Answers(NamedTuple):
    """The distinct bodies of a client ledger, by their best answer."""

    acknowledged: frozenset[str]
    """SHA-256 of each body that was answered 200 at least once."""
    unknown: frozenset[str]
    """SHA-256 of each body that was never answered 200, but at least once 5xx or not at all.

    The gateway may have published it."""
    acknowledged_ids: frozenset[str]
    """The id of the event of each acknowledged body. An event may have several bodies."""


def answers(ledger: Path) -> Answers:
    """Read the answers from a client ledger. A half-written last line does not count."""
    acknowledged: set[str] = set()
    unknown: set[str] = set()
    ids: dict[str, str] = {}
    if ledger.exists():
        for line in ledger.read_bytes().splitlines():
            attempt = client_ledger.load(line)
            if attempt is None:
                continue
            if attempt.answer == 200:
                acknowledged.add(attempt.sha256)
                ids[attempt.sha256] = attempt.event_id or attempt.sha256
            elif attempt.answer == UNKNOWN or attempt.answer >= 500:
                unknown.add(attempt.sha256)
    return Answers(
        frozenset(acknowledged), frozenset(unknown - acknowledged), frozenset(ids.values())
    )


def settled_audit(context: DrillContext, ledger: Path) -> Audit:
    """Audit once no stage has consumer lag. Controls use it, because they must lose events.

    Raises:
        TimeoutError: a stage still has consumer lag after `SETTLE_S`.
    """
    deadline = monotonic() + SETTLE_S
    while monotonic() < deadline:
        result = _audited(context, ledger, AUDIT_WAIT_S)
        if result.settled:
            return result.audit
    raise TimeoutError(f"A stage still has consumer lag after {SETTLE_S:.0f} s.")


def account_for_events(context: DrillContext, ledger: Path, findings: Findings) -> None:
    """Count acknowledged, lost, duplicated and unknown events, and require a clean audit."""
    result = _audited(context, ledger, SETTLE_S)
    known = answers(ledger)
    findings.acknowledged += len(known.acknowledged)
    findings.unknown += len(known.unknown)
    findings.lost += result.audit.missing.count
    findings.duplicated += result.audit.duplicated.count
    findings.require(
        bool(known.acknowledged), "no event was acknowledged, so the drill tested nothing"
    )
    judged = result.audit.stages[Stage.ACKNOWLEDGED].events
    findings.require(
        len(known.acknowledged_ids) <= judged <= len(known.acknowledged),
        f"the audit checked only {judged} of the acknowledged events",
    )
    findings.require(result.ok, verdict(result))
    findings.require(result.settled, "a stage still had consumer lag when the audit ended")


def _audited(context: DrillContext, ledger: Path, wait_s: float) -> audit_runner.Report:
    request = audit_runner.Request(
        Window(context.began_at, datetime.now(UTC)),
        open_ended=True,
        client_ledger=ledger,
        # The client and the pipeline share one clock, so no margin is needed. The usual margin of
        # one minute would leave out the events of a short drill.
        client_edge=timedelta(0),
        wait_s=wait_s,
        through=Stage.BRONZE,
    )
    return asyncio.run(audit_runner.run(context.settings, request, lambda _said: None))
