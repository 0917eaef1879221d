"""The JSON object and the one-sentence verdict of an audit."""

from typing import Any, Final

from .audit_runner import Report
from .audit_window import Window
from .distinct_events import Summary
from .reconciliation import Finding
from .stages import Stage

NAMES_SHOWN_MAX: Final = 5

_WORDS: Final = {
    Stage.ACKNOWLEDGED: "acknowledged",
    Stage.RAW: "received",
    Stage.BRONZE: "stored",
}
"""The name of an audit's events, by its first stage."""


def as_json(report: Report) -> dict[str, Any]:
    """Return the audit as `payments audit --json` prints it."""
    audit = report.audit
    return {
        "ok": report.ok,
        "verdict": verdict(report),
        "window": _window(report.window),
        "settled": report.settled,
        "elapsed_s": round(report.elapsed_s, 3),
        "stages": {
            stage.value: _summary(summary, stage, report.window) for stage, summary in shown(report)
        },
        **({"not_audited": _absent(report)} if report.absent else {}),
        "days": {
            day.isoformat(): {stage.value: part._asdict() for stage, part in parts.items()}
            for day, parts in audit.days.items()
        },
        "pending": {stage.value: count for stage, count in audit.pending.items()},
        **_named("missing", audit.missing),
        "missing_last_seen": {stage.value: count for stage, count in audit.last_seen.items()},
        **_named("duplicated", audit.duplicated),
        **_named("unexplained", audit.unexplained),
        **_named("mismatched", audit.mismatched),
        **_named("unknown", audit.unknown),
        "conflicts": audit.conflicts,
        **_client(report),
    }


def verdict(report: Report) -> str:
    """Return the result of the audit in one sentence."""
    audit = report.audit
    if audit.ok and not report.ok:
        if not any(report.attempts or ()):
            return "nothing judged: the client's ledger is empty"
        return (
            "nothing judged: the window leaves out every attempt of the client's ledger; begin it "
            "more than a minute before the first of them, and leave --until out"
        )
    if audit.ok:
        stage, summary = shown(report)[0]
        word, count = _WORDS[stage], summary.events
        way = f", and on to the {next(reversed(audit.pending))}" if audit.pending else ""
        events = f"{count:,} {word} event{'s' * (count != 1)}"
        return f"clean: {events}, each at exactly one destination{way}"
    faults = []
    if audit.missing.count:
        last = ", ".join(f"{stage.value} ({n:,})" for stage, n in audit.last_seen.items())
        faults.append(f"{_list('missing', audit.missing)}; last seen in {last}")
    faults += [
        _list(word, finding)
        for word, finding in (
            ("in two places or rows", audit.duplicated),
            ("unexplained", audit.unexplained),
            ("with amounts or ids that disagree", audit.mismatched),
        )
        if finding.count
    ]
    return "not clean: " + "; ".join(faults)


def _client(report: Report) -> dict[str, Any]:
    attempts = report.attempts
    if attempts is None:
        return {"client_lines_unread": 0}
    judged = {name: getattr(attempts, name) for name in ("judged", "at_edge", "outside")}
    others = report.audit.others
    return {"others": others, "attempts": judged, "client_lines_unread": attempts.unread}


def _absent(report: Report) -> dict[str, str]:
    return {stage.value: why for stage, why in report.absent.items()}


def shown(report: Report) -> list[tuple[Stage, Summary]]:
    """Return the stages to show. Without a client ledger its attempts are left out."""
    return [
        (stage, summary)
        for stage, summary in report.audit.stages.items()
        if report.attempts or stage is not Stage.ACKNOWLEDGED
    ]


def _summary(summary: Summary, stage: Stage, window: Window) -> dict[str, Any]:
    partly = {"complete": window.complete} if stage is Stage.RAW else {}
    return {**summary._asdict(), **partly}


def _named(word: str, finding: Finding) -> dict[str, Any]:
    return {
        word: [named.event_id for named in finding.named],
        f"{word}_count": finding.count,
        f"{word}_seen_in": {n.event_id: [s.value for s in n.seen_in] for n in finding.named},
    }


def _list(word: str, finding: Finding) -> str:
    names = [named.event_id for named in finding.named[:NAMES_SHOWN_MAX]]
    more = ", …" if finding.count > len(names) else ""
    return f"{finding.count:,} {word}: {', '.join(names)}{more}"


def _window(window: Window) -> dict[str, Any]:
    return {
        "since": window.since.isoformat() if window.since else None,
        "until": window.until.isoformat(),
        "complete": window.complete,
    }
