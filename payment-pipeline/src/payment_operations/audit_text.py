"""An audit as text for the terminal."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from payment_pipeline.ledger.audit_json import shown, verdict
from payment_pipeline.ledger.audit_runner import Report
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.distinct_events import Part, Summary
from payment_pipeline.ledger.reconciliation import Audit
from payment_pipeline.ledger.stages import Stage

from .terminal import Grid, Screen, fitting, fixed_column, number_column, table, text_column

DAYS_SHOWN_MAX: Final = 14
"""The newest days; the JSON has all of them."""

NEXT_STEPS: Final = {
    Stage.ACKNOWLEDGED: "the gateway answered 2xx, but they are on no topic: check whether the "
    "broker lost data (`payments logs kafka`), then ask the provider to send them again",
    Stage.RAW: "the normalizer has not processed them: check `payments status` and `payments logs "
    "normalizer`",
    Stage.NORMALIZED: "no workflow has written them to bronze: `payments trace ID` shows their "
    "coordinates, the Temporal UI shows what failed; check `payments logs worker`",
    Stage.REJECTED: "no workflow has written these dead letters to the quarantine: check "
    "`payments logs dispatcher`, then the Temporal UI",
    Stage.BRONZE: "the loader skipped them or does not run: check its runs in Dagster; a re-load "
    "of their day of `data/payment_events` loads them",
    Stage.QUARANTINE: "the loader skipped these dead letters or does not run: check its runs in "
    "Dagster; a re-load of their day of `data/payment_events_quarantine` loads them",
    Stage.REDRIVEN: "the loader skipped these dead letters or does not run: as for the quarantine",
    Stage.LAKE: "dbt skipped them or does not run: check its runs in Dagster; `--full-refresh` of "
    "`int_payment_events` adds them",
}
"""What to do about missing events, by the stage that saw them last. Final stages have no entry."""


def show(report: Report, screen: Screen) -> None:
    """Print the stages, their totals, the days if there are several, the verdict, what to do."""
    screen.grid(_stages(report), f"Audit of what was received {_between(report.window)}")
    for part in _totals(report, screen.width):
        screen.grid(part, "Hash totals, in minor units")
    days = report.audit.days
    if len(days) > 1:
        last = f" (the last {DAYS_SHOWN_MAX} of {len(days)})" if len(days) > DAYS_SHOWN_MAX else ""
        for part in _days(report, screen.width):
            screen.grid(part, f"By day of receipt, UTC{last}")
    if notes := _notes(report):
        for note in notes:
            screen.line(note, style="dim")
        screen.line()
    style = "green" if report.ok else "red"
    screen.line(verdict(report), style=style)
    for step in next_steps(report.audit):
        screen.line(f"  → {step}")


def next_steps(audit: Audit) -> list[str]:
    """What to do, one step a line; none when the audit is clean."""
    steps = [f"last seen in {stage.value}: {NEXT_STEPS[stage]}" for stage in audit.last_seen]
    if audit.duplicated.count:
        steps.append(
            "in two destinations or rows: `payments trace ID` shows each, with the code's version"
        )
    if audit.unexplained.count:
        steps.append(
            "unexplained: something other than the pipeline wrote them, or someone emptied a "
            "topic; stored events of refused webhooks mean that a signature was not checked"
        )
    if audit.mismatched.count:
        steps.append(
            "different amounts or ids: compare the body with its row (`payments trace ID`); the "
            "normalizer or the writer has a defect"
        )
    return steps


def _stages(report: Report) -> Grid:
    rows = table(text_column("stage"), number_column("events"), number_column("records"))
    for stage, summary in _tabled(report):
        rows.row(stage.value, f"{summary.events:,}", f"{summary.records:,}")
    return rows


def _totals(report: Report, width: int) -> list[Grid]:
    """One row for each currency, one column for each group of stages with equal totals."""
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
    currencies = sorted({currency for _, totals in alike for currency in totals})
    columns = {
        " = ".join(names): [f"{totals.get(currency, 0):,}" for currency in currencies]
        for names, totals in alike
    }
    return _split([("", currency) for currency in currencies], columns, width)


def _days(report: Report, width: int) -> list[Grid]:
    """Each day's events and hash totals, one column for each stage."""
    days = list(report.audit.days.items())[-DAYS_SHOWN_MAX:]
    rows, columns = _day_rows(days, [stage for stage, _ in _tabled(report)])
    return _split(rows, columns, width)


def _split(
    rows: Sequence[tuple[str, str]], columns: Mapping[str, Sequence[str]], width: int
) -> list[Grid]:
    """The columns in as many tables as the width needs, so that no number is cut or folded."""
    if not rows:
        return []
    tables = []
    for headers in fitting(columns, width - max(len(day) + len(name) for day, name in rows) - 4):
        part = table(
            fixed_column("day" if rows[0][0] else ""),
            fixed_column(),
            *(number_column(header) for header in headers),
        )
        for number, (day, name) in enumerate(rows):
            part.row(day, name, *(columns[header][number] for header in headers))
        tables.append(part)
    return tables


def _day_rows(
    days: Sequence[tuple[date, Mapping[Stage, Part]]], stages: Sequence[Stage]
) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """The first two cells of each row, and the other cells by stage."""
    rows: list[tuple[str, str]] = []
    columns: dict[str, list[str]] = {stage.value: [] for stage in stages}
    for day, parts in days:
        currencies = sorted({code for part in parts.values() for code in part.hash_total})
        rows += [(day.isoformat(), "events"), *(("", currency) for currency in currencies)]
        for stage in stages:
            part = parts.get(stage)
            values = [part.events if part else 0]
            values += [part.hash_total.get(code, 0) if part else 0 for code in currencies]
            columns[stage.value] += map("{:,}".format, values)
    return rows, columns


def _notes(report: Report) -> list[str]:
    audit = report.audit
    return [
        note
        for applies, note in (
            (
                not report.window.complete,
                "Kafka no longer holds the earlier records: they are not audited.",
            ),
            (not report.settled, "The pipeline was still behind when the wait ended."),
            *(
                (count, f"{count:,} not in the {stage} yet: the next load adds them.")
                for stage, count in audit.pending.items()
            ),
            *(
                (True, f"Not audited: {stages} ({why}).")
                for why, stages in _absent_by_reason(report).items()
            ),
            (
                audit.conflicts,
                f"{audit.conflicts:,} arrived again with another body and are in the quarantine.",
            ),
            (
                audit.unknown.count,
                f"{audit.unknown.count:,} attempts got no answer: their events may be missing.",
            ),
            (
                report.attempts and audit.others,
                f"{audit.others:,} events are not in the client's ledger: other clients sent them.",
            ),
            *_left_out(report),
        )
        if applies
    ]


def _left_out(report: Report) -> list[tuple[int, str]]:
    """How many lines of the client's ledger are not audited, with a sentence for each reason."""
    if report.attempts is None:
        return []
    _, at_edge, outside, unread = report.attempts
    why = "because they are so near to the window's ends that two clocks may differ"
    return [
        (at_edge, f"Left out: {at_edge:,} of the client's attempts, {why}."),
        (outside, f"Outside of the window: {outside:,} of the client's attempts."),
        (unread, f"Unreadable: {unread:,} lines of the client's ledger."),
    ]


def _absent_by_reason(report: Report) -> dict[str, str]:
    """The stages that are not audited, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for stage, why in report.absent.items():
        by_reason.setdefault(why, []).append(stage.value)
    return {why: ", ".join(stages) for why, stages in by_reason.items()}


def _tabled(report: Report) -> list[tuple[Stage, Summary]]:
    """The stages of the tables; without `redriven` if nothing was redriven."""
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
