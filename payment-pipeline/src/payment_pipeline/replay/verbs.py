"""What does `payments replay` do with a terminal?"""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from payment_pipeline.ledger import window
from payment_pipeline.settings import Settings

from .batch import Request
from .run import replay
from .standing import Report, Standing

SAID = {
    Standing.UNCHANGED: "as bronze has it",
    Standing.CORRECTED: "corrected; the old rows are in payment_events_history",
    Standing.SENT_ON: "in no table: sent on to payments.normalized",
    Standing.QUARANTINED: "rejected and in no table: put into the quarantine",
    Standing.REDRIVABLE: "in the quarantine, and valid today: `payments dlq redrive`",
    Standing.STILL_REJECTED: "in the quarantine, as before",
    Standing.UNMODELLED: "genuine, and no model covers it",
    Standing.NO_LONGER_TAKEN: "in bronze, and not taken today: left as it is, for you to judge",
}
SHOWN_MAX = 20


def replay_window(
    settings: Settings,
    ends: tuple[str, str],
    *,
    provider: str | None,
    event_type: str | None,
    dry_run: bool,
    rate: float,
    as_json: bool,
) -> int:
    """Replay, print what it did on standard output, and return the exit code.

    Raises:
        UserError: the window can't be read, or a store does not answer.
    """
    span = window.parse(*ends, datetime.now(UTC))
    request = Request(span, provider, event_type, dry_run, rate)
    # A client's own log lines say again, and worse, what the sentence on standard error says.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with Console(stderr=True).status("connecting") as status:
        report = asyncio.run(replay(settings, request, status.update))
    if as_json:
        sys.stdout.write(json.dumps(to_json(report)) + "\n")
    else:
        show(report, Console(highlight=False))
    return 0 if report.ok else 1


def to_json(report: Report) -> dict[str, object]:
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
    if report.refolded:
        console.print(f"{report.refolded:,} entities' online features were folded anew.")
    if not report.complete:
        console.print("Kafka's retention may have taken a part of the window.", style="red")
    did = "would do; nothing was written" if report.dry_run else "did"
    console.print(f"That is what {report.by} {did}: {report.records:,} raw records.")
