"""Commands that prove that no event is lost, and that trace one event or payment."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from payment_operations.command_options import INSTANT, AsJson
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.PROOF
app = typer.Typer()


@app.command()
def audit(
    as_json: AsJson = False,
    client_ledger: Annotated[
        Path | None,
        typer.Option(help="The client's own ledger, a file that `payments simulate` writes."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help=f"Start of the window of receipts: {INSTANT}.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End of the window, exclusive; now if left out.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for events that are still in progress.")
    ] = 60,
    through: Annotated[
        str | None,
        typer.Option(help="The last stage that must exist: `bronze`, `lake` or `facts`."),
    ] = None,
) -> None:
    """Prove that no event is lost or duplicated; exit 1 and name the events otherwise.

    It makes three comparisons: the raw topics with the normalized, rejected and unmodelled events;
    those events with the rows of bronze and of the quarantine; the rows with the lake and the
    facts, if they exist. It compares body hashes, and the amounts of each currency. Rows that the
    next load will bring to the lake are not missing, unless you give `--through`.

    After a `payments books pull` there is a fourth comparison: the events that the provider lists
    with bronze, in both directions.

    With `--client-ledger` the proof does not depend on the pipeline's own records. Attempts within
    a minute of the window's ends are left out, because two clocks differ. If no other attempt is
    left, nothing is proved: exit 1.
    """
    from payment_operations import audit_run

    given = since, until, client_ledger, wait, through
    sys.exit(audit_run.audit(settings.load(), *given, as_json=as_json))


@app.command()
def trace(
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="The id of an event, a payment or a workflow.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show everything that happened to one event or payment; exit 1 if the id is unknown.

    For an event: its topic, partition and offset, its trace id, the workflow with its link, the
    scores with their reasons, and its row or dead letter. For a payment: every event in order of
    occurrence, with its reviews and recoveries. Events that are in no table yet are looked up on
    the topics.
    """
    from payment_operations import trace_lookup

    sys.exit(trace_lookup.show_trace(settings.load(), wanted, as_json=as_json))
