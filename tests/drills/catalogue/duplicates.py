"""Drill 3: duplicates, second endpoints, repeats, a full shuffle, and altered bodies."""

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
from payment_pipeline.providers import Context, Envelope, providers
from payment_pipeline.simulator.faults import Fault, Faults
from payment_pipeline.simulator.simulation_run import Period, midnight
from payment_pipeline.simulator.traffic import deliveries

EVENTS_A_ROUND: Final = 1_000
FAULTS: Final = Faults(duplicates=0.3, altered=0.03, shuffle=True, second_endpoint=0.2)
REPLAYS: Final = 2
"""How often all events are sent, in the same shuffled order."""
ROWS: Final = "SELECT * FROM payment_events WHERE received_at >= %s"
QUARANTINED: Final = (
    "SELECT DISTINCT body_sha256, failure FROM payment_events_quarantine WHERE received_at >= %s"
)
WHERE_IT_CAME: Final = {"source", "received_at", "traceparent", "normalizer_version"}
"""Columns that say how an event arrived. They may differ between deliveries."""

Facts = Mapping[str, dict[str, Any]]
"""The other columns of each event, by event id."""
Right = Mapping[str, list[dict[str, Any]]]
"""The right columns of each event: one possibility for each body that it was sent with."""


def run(context: DrillContext) -> Findings:
    """Send events shuffled and twice, and compare bronze with an in-order run of the pure core."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    seed, count = context.rng.randrange(2**31), EVENTS_A_ROUND * context.rounds
    for _ in range(REPLAYS):
        send_chunk(context, ledger, seed, count, faults=FAULTS)
    account_for_events(context, ledger, findings)
    wanted, stored = _right(context, seed, count), _stored(context)
    altered, second = _bodies(ledger, Fault.ALTERED), _bodies(ledger, Fault.SECOND_ENDPOINT)
    with psycopg.connect(context.settings.dsn) as connection:
        quarantined: dict[str, str] = dict(
            connection.execute(QUARANTINED, [context.began_at]).fetchall()
        )
    conflicts = {body for body, failure in quarantined.items() if failure == "conflicting_body"}
    findings.figures = {
        "deliveries": len(ledger.read_bytes().splitlines()),
        "rows": len(stored),
        "rows_in_order": len(wanted),
        "rows_that_differ": len(_differing(wanted, stored)),
        "altered": len(altered),
        "altered_in_quarantine": len(altered & conflicts),
        "second_endpoint": len(second),
        "second_endpoint_in_quarantine": len(second & quarantined.keys()),
    }
    findings.require(not _differing(wanted, stored), "bronze differs from an in-order run")
    findings.require(altered <= conflicts, "an altered body is not in quarantine")
    findings.require(bool(second), "no event was sent to a second endpoint")
    findings.require(
        not second & quarantined.keys(), "an event of a second endpoint is a dead letter"
    )
    findings.control_failed = _control(context, wanted, altered, seed, count)
    return findings


def _right(context: DrillContext, seed: int, count: int) -> Right:
    """Normalize each genuine body once. Any body of an event may be the first one that arrives."""
    found: dict[str, list[dict[str, Any]]] = {}
    for sent in deliveries(seed, count, Period(midnight(None)), FAULTS):
        if sent.fault not in (None, Fault.LATE, Fault.SECOND_ENDPOINT) or not sent.event_id:
            continue
        if (normalized := _normalized(context, sent.event_id, sent.body)) is not None:
            found.setdefault(sent.event_id, []).append(normalized)
    return found


def _normalized(context: DrillContext, event_id: str, body: bytes) -> dict[str, Any] | None:
    read = providers()["stripe"].read(body)
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
        identity_sha256=read.identity_sha256 if isinstance(read, Envelope) else None,
    )
    event = providers()["stripe"].normalize(raw, normalizing)
    if isinstance(event, Rejected | Unmodelled):
        return None
    return event.model_dump(exclude=WHERE_IT_CAME)


def _stored(context: DrillContext) -> Facts:
    with psycopg.connect(context.settings.dsn, row_factory=dict_row) as connection:
        rows = connection.execute(ROWS, [context.began_at]).fetchall()
    return {row["event_id"]: to_event(row).model_dump(exclude=WHERE_IT_CAME) for row in rows}


def _differing(wanted: Right, stored: Facts) -> set[str]:
    return {
        key for key in wanted.keys() | stored.keys() if stored.get(key) not in wanted.get(key, ())
    }


def _bodies(ledger: Path, fault: Fault) -> set[str]:
    attempts = map(client_ledger.load, ledger.read_bytes().splitlines())
    return {each.sha256 for each in attempts if each and each.fault == fault}


def _control(
    context: DrillContext, wanted: Right, altered: set[str], seed: int, count: int
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
    promise="Duplicates, second endpoints, repeats and disorder give the rows of one delivery.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=10,
)
