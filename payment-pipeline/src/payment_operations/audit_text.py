"""How does an audit read, for a person and for a machine?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from payment_pipeline.ledger.audit import Audit
from payment_pipeline.ledger.audit_json import shown, verdict
from payment_pipeline.ledger.events import Summary
from payment_pipeline.ledger.run import Report
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.ledger.window import Window

DAYS_SHOWN_MAX: Final = 14
"""The newest of them; the JSON has all."""

NEXT_STEPS: Final = {
    Stage.ACKNOWLEDGED: "answered 2xx, but on no topic: look for a broker that lost its data "
    "(`payments logs kafka`), then have the provider send them again",
    Stage.RAW: "the normalizer has not taken them: `payments status`, `payments logs normalizer`",
    Stage.NORMALIZED: "no workflow has written them: `payments trace ID` leads to where they "
    "lie, the Temporal UI to what failed; `payments logs worker`",
    Stage.REJECTED: "no workflow has put these dead letters into the quarantine: "
    "`payments logs dispatcher`, then the Temporal UI",
    Stage.BRONZE: "the loader is past them, or stands: its runs in Dagster; a re-load of their "
    "day of `data/payment_events` brings them",
    Stage.QUARANTINE: "the loader is past these dead letters, or stands: its runs in Dagster; a "
    "re-load of their day of `data/payment_events_quarantine` brings them",
    Stage.REDRIVEN: "the loader is past these dead letters, or stands, as for the quarantine",
    Stage.LAKE: "dbt is past them, or stands: its runs in Dagster; `--full-refresh` of "
    "`int_payment_events` brings them",
}
"""What to do about missing events, by where they were last seen: nothing is missing at an end."""


def show(report: Report, console: Console) -> None:
    """Print the audit: the stages, their totals, each day of several, the verdict, what to do."""
    console.print(_stages(report))
    if any(summary.hash_total for _, summary in shown(report)):
        console.print(_totals(report))
    if len(report.audit.days) > 1:
        console.print(_days(report))
    for note in _notes(report):
        console.print(note, style="dim", markup=False)
    console.print()
    style = "green" if report.ok else "red"
    console.print(verdict(report), style=style, markup=False, soft_wrap=True)
    for step in next_steps(report.audit):
        console.print(f"  → {step}", markup=False, soft_wrap=True)


def next_steps(audit: Audit) -> list[str]:
    """What to do, one step a line; nothing when the audit is clean."""
    steps = [f"last seen in {stage.value}: {NEXT_STEPS[stage]}" for stage in audit.last_seen]
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


def _stages(report: Report) -> Table:
    table = Table("stage", title=f"Audit of what was received {_between(report.window)}")
    table.add_column("events", justify="right")
    table.add_column("records", justify="right")
    for stage, summary in _tabled(report):
        table.add_row(stage.value, f"{summary.events:,}", f"{summary.records:,}")
    return table


def _totals(report: Report) -> Table:
    """Currencies down, stages across: a row adds up from left to right.

    Stages with the same totals share a column, so that what agrees is seen to agree.
    """
    alike: list[tuple[list[str], Mapping[str, int]]] = []
    for stage, summary in shown(report):
        if not summary.hash_total:
            continue
        for names, totals in alike:
            if totals == summary.hash_total:
                names.append(stage.value)
                break
        else:
            alike.append(([stage.value], summary.hash_total))
    table = Table(title="Hash totals, in minor units", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for names, _ in alike:
        table.add_column(" = ".join(names), justify="right", vertical="bottom", overflow="fold")
    for currency in sorted({currency for _, totals in alike for currency in totals}):
        table.add_row(currency, *(f"{totals.get(currency, 0):,}" for _, totals in alike))
    return table


def _days(report: Report) -> Table:
    """Each day's events, then its hash totals, stages across."""
    days = list(report.audit.days.items())
    left_out = len(days) - DAYS_SHOWN_MAX
    more = f" (the last {DAYS_SHOWN_MAX} of {len(days)})" if left_out > 0 else ""
    table = Table(
        "day", "", title=f"By day of receipt, UTC{more}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    stages = [stage for stage, _ in _tabled(report)]
    for stage in stages:
        table.add_column(stage.value, justify="right", no_wrap=True)
    for day, parts in days[-DAYS_SHOWN_MAX:]:
        counts = (parts[stage].events if stage in parts else 0 for stage in stages)
        table.add_row(day.isoformat(), "events", *map("{:,}".format, counts))
        for currency in sorted({code for part in parts.values() for code in part.hash_total}):
            totals = (
                parts[stage].hash_total.get(currency, 0) if stage in parts else 0
                for stage in stages
            )
            table.add_row("", currency, *map("{:,}".format, totals))
    return table


def _notes(report: Report) -> list[str]:
    audit = report.audit
    return [
        note
        for applies, note in (
            (
                not report.window.complete,
                "Kafka holds no more (retention, erasure): what came earlier is not covered.",
            ),
            (not report.settled, "The stages were still behind when the wait ended."),
            *(
                (count, f"{count:,} not in the {stage} yet: the next load brings them.")
                for stage, count in audit.pending.items()
            ),
            *(
                (True, f"Not audited: {stages} ({why}).")
                for why, stages in _absent_by_reason(report).items()
            ),
            (
                audit.conflicts,
                f"{audit.conflicts:,} came again with another body, and are in quarantine.",
            ),
            (
                audit.unknown.count,
                f"{audit.unknown.count:,} attempts never got an answer: present or absent.",
            ),
            (
                report.attempts and audit.others,
                f"{audit.others:,} events are not in the client's ledger: other senders'.",
            ),
            *_left_out(report),
        )
        if applies
    ]


def _left_out(report: Report) -> list[tuple[int, str]]:
    """How much of the client's ledger takes no part, and the sentence that says so."""
    if report.attempts is None:
        return []
    _, at_edge, outside, unread = report.attempts
    why = "so near to the window's ends that two clocks may differ"
    return [
        (at_edge, f"Left out: {at_edge:,} of the client's attempts, {why}."),
        (outside, f"Outside of the window: {outside:,} of the client's attempts."),
        (unread, f"Can't be read: {unread:,} of the lines of the client's ledger."),
    ]


def _absent_by_reason(report: Report) -> dict[str, str]:
    """The stages that aren't audited, by why they aren't."""
    by_reason: dict[str, list[str]] = {}
    for stage, why in report.absent.items():
        by_reason.setdefault(why, []).append(stage.value)
    return {why: ", ".join(stages) for why, stages in by_reason.items()}


def _tabled(report: Report) -> list[tuple[Stage, Summary]]:
    """For a person; most audits know nothing of a redrive."""
    return [
        (stage, summary)
        for stage, summary in shown(report)
        if stage is not Stage.REDRIVEN or summary.records
    ]


def _between(window: Window) -> str:
    since = f"from {_time(window.since)} " if window.since else ""
    return f"{since}until {_time(window.until)}"


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S %Z")
