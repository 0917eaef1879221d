"""A trace as JSON and as text for the terminal."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from payment_pipeline.domain.currency import major
from payment_pipeline.ledger.event_trace import ROWS_MAX, Sighting, Trace
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.ledger.workflow_runs import Run

from .terminal import Screen, instant

SCORES: Final = ("fraud_score", "churn_score", "retry_strategy")
_LABEL_WIDTH: Final = 14
"""The longest label, `retry_strategy`."""
_TIMELINE_INDENT: Final = 28


def as_json(trace: Trace) -> dict[str, Any]:
    """The trace as `payments trace --json` prints it; times in RFC 3339, UTC."""
    return {
        "id": trace.wanted,
        "events": [_event(seen, trace.workflows) for seen in trace.sightings],
        "workflows": [_plain(run._asdict()) for run in trace.workflows],
        "decisions": [_plain(decision) for decision in trace.decisions],
        "temporal_silence": trace.temporal_silence,
    }


def show(trace: Trace, screen: Screen) -> None:
    """Print one event in full or several as a timeline, then their workflows and decisions."""
    events = {seen.event_id for seen in trace.sightings}
    if len(events) == 1:
        for seen in trace.sightings:
            _show_event(seen, screen)
    elif events:
        _show_timeline(trace, screen)
    unknown = "unknown" if trace.temporal_silence else "no longer known to Temporal"
    for run in trace.workflows:
        state = " ".join(filter(None, (run.status or unknown, run.outcome)))
        span = f", from {instant(run.started_at)}" if run.started_at else ""
        if run.closed_at:
            span += f" to {instant(run.closed_at)}"
        _line(screen, "workflow", f"{run.id}: {state}{span}")
        _line(screen, "", run.url)
    for decision in trace.decisions:
        _line(screen, "decision", _decision(decision))
    if trace.temporal_silence:
        screen.line(trace.temporal_silence, style="yellow")


def _show_timeline(trace: Trace, screen: Screen) -> None:
    screen.line(f"{trace.wanted}, in order of occurrence", style="bold")
    for seen in trace.sightings:
        head, *rest = _timeline(seen)
        happened = seen.more.get("occurred_at") or seen.received_at
        screen.line(f"  {instant(happened)}  {head}")
        for line in rest:
            screen.line(f"{'':<{_TIMELINE_INDENT}}{line}")
    if len(trace.sightings) >= ROWS_MAX:
        screen.line(f"  Only the first {ROWS_MAX} events are shown.", style="dim")


def _show_event(seen: Sighting, screen: Screen) -> None:
    screen.line(f"{seen.event_id or 'no id'}  {seen.event_type or ''}", style="bold")
    happened = seen.more.get("occurred_at")
    suffix = f", occurred {instant(happened)}" if happened else ""
    _line(screen, "received", f"{instant(seen.received_at)}{suffix}")
    source = seen.source
    _line(screen, "record", f"{source.topic}, partition {source.partition}, offset {source.offset}")
    _line(screen, "trace id", seen.trace_id or "none")
    for label, text in _details(seen):
        _line(screen, label, text)


def _details(seen: Sighting) -> Iterable[tuple[str, str]]:
    more = seen.more
    if seen.stage is Stage.BRONZE:
        yield "row", f"payment_events, id {more['id']}, {_after_receipt(seen)}"
        yield from (("payment", more["payment_id"]),) if more["payment_id"] else ()
        yield from (("amount", _amount(more)),) if more["amount_minor"] is not None else ()
        yield "status", more["status"] or "none"
        yield from _scores(more)
    elif seen.stage is Stage.QUARANTINE:
        yield "quarantine", f"{more['failure']}, id {more['id']}, {_after_receipt(seen)}"
        yield "rejected by", f"{more['component']} {more['component_version']}"
        for error in more["errors"]:
            yield "error", f"{error['path'] or 'the whole body'}: {error['message']}"
        yield "body", f"{more['body_bytes']:,} bytes, sha256 {more['body_sha256']}"
        yield "dead letter", _letter(more)
    else:
        yield "now in", f"{seen.stage.value}, at {more['found_at']}: {more['standing']}"
        yield "body", f"sha256 {more['body_sha256']}"


def _letter(row: Mapping[str, Any]) -> str:
    """The state of a dead letter: open, or how it was closed."""
    if row["resolution"] is None:
        return f"open: `payments dlq show {row['id']}`"
    closed = f"{row['resolution']} {instant(row['resolved_at'])} by {row['resolved_by']}"
    if row["patched"]:
        return f"{closed}, patched to sha256 {row['redriven_body_sha256']}"
    return closed


def _scores(row: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if not row["scores"]:
        yield "scores", row["inference_status"]
        return
    # The models in their usual order, then any other.
    for name in sorted(row["scores"], key=lambda name: (name not in SCORES, name)):
        score = row["scores"][name]
        value = score["value"]
        shown = f"{value:.4f}" if isinstance(value, float) else value
        yield name.removesuffix("_score"), f"{shown}, by {score['model']} {score['version']}"
        for reason in score["reasons"]:
            yield "", f"{reason['contribution']:+.3f}  {reason['feature']}"
        for name_of_detail, detail in (score.get("detail") or {}).items():
            yield "", f"{name_of_detail}: {detail}"


def _timeline(seen: Sighting) -> Iterable[str]:
    """The lines of one event: type and amount, location, record and workflow, scores."""
    row = seen.more
    amount = _amount(row) if row.get("amount_minor") is not None else ""
    yield f"{seen.event_type or '':<28} {amount:>18}  {row.get('status') or ''}"
    location = row.get("failure") or seen.stage.value
    number = f" row {row['id']}" if row.get("id") is not None else ""
    yield f"{seen.event_id or 'no id'}, {location}{number}, received {instant(seen.received_at)}"
    by = f", {seen.workflow_id}" if seen.workflow_id else ""
    yield f"{seen.source}{by}"
    for name, score in (row.get("scores") or {}).items():
        value = score["value"]
        shown = f"{value:.3f}" if isinstance(value, float) else value
        reasons = f": {score['reasons'][0]['feature']}" if score["reasons"] else ""
        yield f"{name.removesuffix('_score')} {shown}{reasons}"


def _amount(row: Mapping[str, Any]) -> str:
    amount = major(row["amount_minor"], row["currency_exponent"])
    return f"{row['currency']} {amount:,}"


def _after_receipt(seen: Sighting) -> str:
    ingested_at: datetime = seen.more["ingested_at"]
    return f"written {(ingested_at - seen.received_at).total_seconds():.3f} s after receipt"


def _decision(decision: Mapping[str, Any]) -> str:
    shown = {key: value for key, value in _plain(decision).items() if value is not None}
    shown.pop("workflow_id")
    head = " ".join(str(shown.pop(key)) for key in ("kind", "outcome", "decided_at"))
    return f"{head}: {', '.join(f'{key} {value}' for key, value in shown.items())}"


def _line(screen: Screen, label: str, text: str) -> None:
    screen.labelled(label, text, width=_LABEL_WIDTH)


def _event(seen: Sighting, workflows: Iterable[Run]) -> dict[str, Any]:
    urls = {run.id: run.url for run in workflows}
    workflow_id = seen.workflow_id
    return {
        "place": seen.stage.value,
        "provider": seen.provider,
        "event_id": seen.event_id,
        "event_type": seen.event_type,
        "received_at": _iso(seen.received_at),
        "topic": seen.source.topic,
        "partition": seen.source.partition,
        "offset": seen.source.offset,
        "trace_id": seen.trace_id,
        "workflow": {"id": workflow_id, "url": urls[workflow_id]} if workflow_id else None,
        "failure": seen.more.get("failure"),
        "row": _plain(seen.more),
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _iso(value) if isinstance(value, datetime) else value for name, value in row.items()
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
