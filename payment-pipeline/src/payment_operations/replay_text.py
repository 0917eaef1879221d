"""What does `payments replay` do with a terminal?"""

from rich.console import Console
from rich.table import Table

from payment_pipeline.replay.standing import Report, Standing

SAID = {
    Standing.UNCHANGED: "as bronze has it",
    Standing.CORRECTED: "corrected; the old rows are in payment_events_history",
    Standing.SENT_ON: "in no table or topic: sent on, like new ones",
    Standing.QUARANTINED: "rejected and in no table: put into the quarantine",
    Standing.MENDED: "rejected when it came: sent on to payments.normalized",
    Standing.REDRIVABLE: "valid today, and in the quarantine for a person: `payments dlq list`",
    Standing.STILL_REJECTED: "in the quarantine, as before",
    Standing.UNMODELLED: "genuine, and no model covers it",
    Standing.NO_LONGER_TAKEN: "in bronze, and not taken today: left as it is, for you to judge",
}
SHOWN_MAX = 20


def as_json(report: Report) -> dict[str, object]:
    """What a replay did, for a machine."""
    return {
        "ok": report.ok,
        "by": report.by,
        "dry_run": report.dry_run,
        "complete": report.complete,
        "records": report.records,
        **{standing.value: report.standings[standing] for standing in Standing},
        "columns": dict(report.columns),
        "named": {
            standing.value: [each._asdict() for each in names]
            for standing, names in report.named.items()
        },
        "letters_closed": report.letters_closed,
        "letters_open": report.letters_open,
        "refolded_entities": report.refolded,
        "seconds": round(report.seconds, 3),
    }


def show(report: Report, console: Console) -> None:
    """What a replay did, for a person."""
    table = Table("events", "", box=None)
    for standing, said in SAID.items():
        if report.standings[standing]:
            table.add_row(f"{report.standings[standing]:,}", said)
    console.print(table)
    for standing, names in report.named.items():
        for each in names[:SHOWN_MAX]:
            console.print(f"  {standing.value}: {each.event_id} ({each.about})", markup=False)
        if (more := report.standings[standing] - SHOWN_MAX) > 0:
            console.print(f"  {standing.value}: and {more:,} more; `--json` names 100")
    for line in _of_letters(report):
        console.print(line, soft_wrap=True)
    if report.refolded:
        console.print(f"{report.refolded:,} entities' online features were folded anew.")
    if not report.complete:
        console.print("Kafka's retention may have taken a part of the window.", style="red")
    did = "would do; nothing was written" if report.dry_run else "did"
    console.print(f"That is what {report.by} {did}: {report.records:,} raw records.")


def _of_letters(report: Report) -> list[str]:
    """What became of the dead letters of what is an event today."""
    lines, still = [], report.letters_open
    if report.letters_closed:
        lines.append(f"{report.letters_closed:,} dead letters are closed: bronze has their events.")
    if still and report.dry_run:
        lines.append(f"{still:,} dead letters would be closed.")
    elif still:
        lines.append(
            f"{still:,} dead letters are open still, since bronze has not got their events yet: "
            "`payments status`, then the same replay again."
        )
    return lines
