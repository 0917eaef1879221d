"""Drill 3: duplicates, repeated deliveries, a full shuffle, and the same id with another body."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from drills.background_load import send_chunk
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events
from drills.findings import Findings
from payment_pipeline.bronze.rows import to_event
from payment_pipeline.domain import client_ledger
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.providers import Context, providers
from payment_pipeline.simulator.faults import Fault, Faults
from payment_pipeline.simulator.simulation_run import Period, midnight
from payment_pipeline.simulator.traffic import deliveries, events

EVENTS_A_ROUND: Final = 1_000
FAULTS: Final = Faults(duplicates=0.3, altered=0.03, shuffle=True)
REPLAYS: Final = 2
"""How often all events are sent, in the same shuffled order."""
ROWS: Final = "SELECT * FROM payment_events WHERE received_at >= %s"
CONFLICTS: Final = (
    "SELECT DISTINCT body_sha256 FROM payment_events_quarantine "
    "WHERE failure = 'conflicting_body' AND received_at >= %s"
)
WHERE_IT_CAME: Final = {"source", "received_at", "traceparent", "normalizer_version"}
"""Columns that say how an event arrived. They may differ between deliveries."""

Facts = Mapping[str, dict[str, Any]]
"""The other columns of each event, by event id."""


def run(context: DrillContext) -> Findings:
    """Send events shuffled and twice, and compare bronze with an in-order run of the pure core."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    seed, count = context.rng.randrange(2**31), EVENTS_A_ROUND * context.rounds
    for _ in range(REPLAYS):
        send_chunk(context, ledger, seed, count, faults=FAULTS)
    account_for_events(context, ledger, findings)
    wanted, stored = _in_order(context, seed, count), _stored(context)
    altered = _bodies(ledger, Fault.ALTERED)
    with psycopg.connect(context.settings.dsn) as connection:
        conflicts = {row[0] for row in connection.execute(CONFLICTS, [context.began_at])}
    findings.figures = {
        "deliveries": len(ledger.read_bytes().splitlines()),
        "rows": len(stored),
        "rows_in_order": len(wanted),
        "rows_that_differ": len(_differing(wanted, stored)),
        "altered": len(altered),
        "altered_in_quarantine": len(altered & conflicts),
    }
    findings.require(not _differing(wanted, stored), "bronze differs from an in-order run")
    findings.require(altered <= conflicts, "an altered body is not in quarantine")
    findings.control_failed = _control(context, wanted, altered, seed, count)
    return findings


def _in_order(context: DrillContext, seed: int, count: int) -> Facts:
    """Normalize each event once, in the original order."""
    facts = {}
    for event in events(seed, count, Period(midnight(None))):
        if (normalized := _normalized(context, event.event_id, event.body)) is not None:
            facts[event.event_id] = normalized
    return facts


def _normalized(context: DrillContext, event_id: str, body: bytes) -> dict[str, Any] | None:
    normalizing = Context(context.settings.secret("pseudonym_key").encode(), "drill")
    raw = RawEvent(
        provider="stripe",
        coordinates=Coordinates(topic="webhooks.stripe.other", partition=0, offset=0),
        body=body,
        event_id=event_id,
        body_sha256=sha256(body).hexdigest(),
        received_at=context.began_at,
        verdict="verified:stripe:drill",
        traceparent=None,
    )
    event = providers()["stripe"].normalize(raw, normalizing)
    if isinstance(event, Rejected | Unmodelled):
        return None
    return event.model_dump(exclude=WHERE_IT_CAME)


def _stored(context: DrillContext) -> Facts:
    with psycopg.connect(context.settings.dsn, row_factory=dict_row) as connection:
        rows = connection.execute(ROWS, [context.began_at]).fetchall()
    return {row["event_id"]: to_event(row).model_dump(exclude=WHERE_IT_CAME) for row in rows}


def _differing(wanted: Facts, stored: Facts) -> set[str]:
    return {key for key in wanted.keys() | stored.keys() if wanted.get(key) != stored.get(key)}


def _bodies(ledger: Path, fault: Fault) -> set[str]:
    attempts = map(client_ledger.load, ledger.read_bytes().splitlines())
    return {each.sha256 for each in attempts if each and each.fault == fault}


def _control(
    context: DrillContext, wanted: Facts, altered: set[str], seed: int, count: int
) -> bool:
    """Compare a sink where the last delivery wins: the altered bodies must show as differences."""
    period = Period(midnight(None))
    last = {
        each.event_id: normalized
        for each in deliveries(seed, count, period, FAULTS)
        if each.event_id
        and (normalized := _normalized(context, each.event_id, each.body)) is not None
    }
    differing = len(_differing(wanted, last))
    context.progress(
        f"control, the last delivery wins: {differing} of {len(altered)} altered rows differ"
    )
    return differing > 0


DRILL = Drill(
    number=3,
    promise="Duplicates, repeats and disorder give the same rows as one delivery in order.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=10,
)
