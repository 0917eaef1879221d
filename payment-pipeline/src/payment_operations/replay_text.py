"""A replay as JSON and as text for the terminal."""

from payment_pipeline.replay.replay_outcome import ReplayOutcome, Report

from .terminal import Screen, number_column, table, text_column

MEANINGS = {
    ReplayOutcome.UNCHANGED: "the same as in bronze",
    ReplayOutcome.CORRECTED: "corrected; the old rows are in payment_events_history",
    ReplayOutcome.SENT_ON: "in no table and on no topic: sent on, like new events",
    ReplayOutcome.QUARANTINED: "rejected and in no table: written to the quarantine",
    ReplayOutcome.MENDED: "rejected at first, valid today: sent on to payments.normalized",
    ReplayOutcome.REDRIVABLE: "valid today, in the quarantine for a decision: `payments dlq list`",
    ReplayOutcome.STILL_REJECTED: "in the quarantine, and still rejected",
    ReplayOutcome.UNMODELLED: "genuine, but of a type that no model covers",
    ReplayOutcome.NO_LONGER_TAKEN: "in bronze, but rejected today: unchanged, you decide",
}
"""What each outcome means."""
SHOWN_MAX = 20


def as_json(report: Report) -> dict[str, object]:
    """The result as `payments replay --json` prints it."""
    return {
        "ok": report.ok,
        "by": report.by,
        "dry_run": report.dry_run,
        "complete": report.complete,
        "records": report.records,
        **{outcome.value: report.outcomes[outcome] for outcome in ReplayOutcome},
        "columns": dict(report.columns),
        "named": {
            outcome.value: [each._asdict() for each in names]
            for outcome, names in report.named.items()
        },
        "letters_closed": report.letters_closed,
        "letters_open": report.letters_open,
        "refolded_entities": report.refolded,
        "seconds": round(report.seconds, 3),
    }


def show(report: Report, screen: Screen) -> None:
    """Print the result: counts by outcome, the named events, dead letters, features."""
    shown = table(number_column("events"), text_column("outcome"))
    for outcome, meaning in MEANINGS.items():
        if report.outcomes[outcome]:
            shown.row(f"{report.outcomes[outcome]:,}", meaning)
    screen.grid(shown)
    for outcome, names in report.named.items():
        for each in names[:SHOWN_MAX]:
            screen.line(f"  {outcome.value}: {each.event_id} ({each.about})")
        if (more := report.outcomes[outcome] - SHOWN_MAX) > 0:
            screen.line(f"  {outcome.value}: {more:,} more; `--json` names 100 of them")
    for line in _of_letters(report):
        screen.line(line)
    if report.refolded:
        screen.line(f"The online features of {report.refolded:,} entities were computed again.")
    if not report.complete:
        screen.line(
            "Kafka no longer holds all records of this window (retention or an erasure), so the "
            "earlier part was not replayed.",
            style="red",
        )
    if report.dry_run:
        screen.line(f"Dry run of {report.records:,} raw records: nothing was written.")
    else:
        screen.line(f"{report.records:,} raw records replayed, in the name of {report.by}.")


def _of_letters(report: Report) -> list[str]:
    """What happened to the dead letters of events that are valid today."""
    lines, still = [], report.letters_open
    if report.letters_closed:
        lines.append(f"{report.letters_closed:,} dead letters are closed: bronze has their events.")
    if still and report.dry_run:
        lines.append(f"{still:,} dead letters would be closed.")
    elif still:
        lines.append(
            f"{still:,} dead letters are still open, because bronze does not have their events "
            "yet. Check `payments status`, then run the same replay again."
        )
    return lines
