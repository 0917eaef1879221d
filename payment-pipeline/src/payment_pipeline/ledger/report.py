"""How does an audit read, for a person and for a machine?"""

from collections import Counter
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from .audit import Audit, Finding, Stage, Summary
from .run import Report
from .window import Window

NAMES_SHOWN_MAX: Final = 5

NEXT_STEPS: Final = {
    Stage.ACKNOWLEDGED: "answered 2xx, but on no topic: look for a broker that lost its data "
    "(`payments logs kafka`), then have the provider send them again",
    Stage.RAW: "the normalizer has not taken them: `payments status`, `payments logs normalizer`",
    Stage.NORMALIZED: "no workflow has written them: `payments trace ID` leads to where they "
    "lie, the Temporal UI to what failed; `payments logs worker`",
    Stage.REJECTED: "no workflow has put these dead letters into the quarantine: "
    "`payments logs dispatcher`, then the Temporal UI",
}
"""What to do about missing events, by where they were last seen; the other stages are ends."""


def as_json(report: Report) -> dict[str, Any]:
    """The audit as `payments audit --json` prints it."""
    audit = report.audit
    return {
        "ok": audit.ok,
        "verdict": verdict(report),
        "window": _window(report.window),
        "settled": report.settled,
        "elapsed_s": round(report.elapsed_s, 3),
        "stages": {
            stage.value: _summary(summary, stage, report.window)
            for stage, summary in _shown(report)
        },
        **_named("missing", audit.missing),
        **_named("duplicated", audit.duplicated),
        **_named("unexplained", audit.unexplained),
        **_named("mismatched", audit.mismatched),
        **_named("unknown", audit.unknown),
        "conflicts": audit.conflicts,
        **({"others": audit.others} if report.with_client else {}),
        "client_lines_unread": report.client_lines_unread,
    }


def show(report: Report, console: Console) -> None:
    """Print the audit: the stages, the verdict, what to do next."""
    console.print(_table(report))
    for note in _notes(report):
        console.print(note, style="dim", markup=False)
    console.print()
    console.print(verdict(report), style="green" if report.audit.ok else "red", markup=False)
    for step in next_steps(report.audit):
        console.print(f"  → {step}", markup=False)


def verdict(report: Report) -> str:
    """The answer in one sentence."""
    audit = report.audit
    if audit.ok:
        stage = Stage.ACKNOWLEDGED if report.with_client else Stage.RAW
        count = audit.stages[stage].events
        word = "acknowledged" if report.with_client else "received"
        return f"clean: {count:,} {word} event{'s' * (count != 1)}, each in exactly one place"
    faults = []
    if audit.missing.count:
        last = ", ".join(_last_seen(audit.missing))
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


def next_steps(audit: Audit) -> list[str]:
    """What to do, one step a line; nothing when the audit is clean."""
    last = {named.seen_in[-1] for named in audit.missing.named}
    steps = [
        f"last seen in {stage.value}: {step}" for stage, step in NEXT_STEPS.items() if stage in last
    ]
    if audit.duplicated.count:
        steps.append("two places or rows: `payments trace ID` shows each, with the code's version")
    if audit.unexplained.count:
        steps.append(
            "unexplained: something other than the pipeline wrote them, or a topic was emptied by "
            "hand; refused webhooks that are stored mean that a signature was not checked"
        )
    if audit.mismatched.count:
        steps.append(
            "disagreeing: compare the body with its row (`payments trace ID`); "
            "the normalizer or the writer has a defect"
        )
    return steps


def _table(report: Report) -> Table:
    currencies = sorted({c for _, s in _shown(report) for c in s.hash_total})
    table = Table(title=f"Audit of what was received {_between(report.window)}")
    table.add_column("stage")
    table.add_column("events", justify="right")
    table.add_column("records", justify="right")
    table.add_column("hash totals, in minor units", overflow="fold")
    for stage, summary in _shown(report):
        totals = [f"{c} {summary.hash_total[c]:,}" for c in currencies if c in summary.hash_total]
        table.add_row(stage.value, f"{summary.events:,}", f"{summary.records:,}", "  ".join(totals))
    return table


def _notes(report: Report) -> list[str]:
    audit = report.audit
    return [
        note
        for applies, note in (
            (
                not report.window.complete,
                "Kafka's retention has passed: what was received earlier is not covered.",
            ),
            (not report.settled, "The stages were still behind when the wait ended."),
            (
                audit.conflicts,
                f"{audit.conflicts:,} came again with another body, and are in quarantine.",
            ),
            (
                audit.unknown.count,
                f"{audit.unknown.count:,} attempts never got an answer: present or absent.",
            ),
            (
                report.with_client and audit.others,
                f"{audit.others:,} events are not in the client's ledger: other senders'.",
            ),
            (
                report.client_lines_unread,
                f"{report.client_lines_unread:,} lines of the client's ledger can't be read.",
            ),
        )
        if applies
    ]


def _shown(report: Report) -> list[tuple[Stage, Summary]]:
    return [
        (stage, summary)
        for stage, summary in report.audit.stages.items()
        if report.with_client or stage is not Stage.ACKNOWLEDGED
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


def _last_seen(finding: Finding) -> list[str]:
    places = Counter(named.seen_in[-1].value for named in finding.named)
    if len(places) == 1:
        return list(places)
    return [f"{place} ({count})" for place, count in places.most_common()]


def _window(window: Window) -> dict[str, Any]:
    return {
        "since": window.since.isoformat() if window.since else None,
        "until": window.until.isoformat(),
        "complete": window.complete,
    }


def _between(window: Window) -> str:
    since = f"from {_time(window.since)} " if window.since else ""
    return f"{since}until {_time(window.until)}"


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S %Z")
