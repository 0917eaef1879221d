"""Which verbs bring bronze back to what it should be: `payments replay`, `backup` and `restore`."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from payment_pipeline import settings

REPLAY_BEFORE: Final = timedelta(hours=1)
"""By how much the pipeline may have been behind at a backup; the audit says if it was more."""

app = typer.Typer()


@app.command()
def replay(
    since: Annotated[
        str, typer.Option("--from", help="Received from then on: RFC 3339, or 15m, 2h, 7d ago.")
    ],
    until: Annotated[str, typer.Option("--to", help="Received before then: the same, or 0s ago.")],
    provider: Annotated[str | None, typer.Option(help="Only this one's.")] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="Only these, by the provider's name or by ours.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0, help="Raw records a second at most; 0: as fast as it goes.")
    ] = 0,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds that the pipeline may take over what was rejected once."),
    ] = 60,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for a machine.")
    ] = False,
) -> None:
    """Normalize a window of receipts again, and bring bronze to what comes of it.

    A row that today's normalizer makes otherwise is corrected in its place: the old one goes to
    `payment_events_history`, the scores and decisions stay as they were taken, the online features
    are folded anew, and the next load brings it to the lake and the marts. What is in no table
    (after a restore) is sent on like a new event, and so is what was rejected when it came: its
    dead letter is closed once bronze has it. An unchanged row is not written. Run it again at will.
    Exit 1 when something is left for a person: a row that is taken no more, a dead letter that is
    open still, a window that Kafka no longer holds.
    """
    from payment_operations import replay_text

    done = replay_text.replay_window(
        settings.load(),
        (since, until),
        provider=provider,
        event_type=type_,
        dry_run=dry_run,
        rate=rate,
        wait_s=wait,
        as_json=as_json,
    )
    sys.exit(done)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file; keep it as safe as the database.")],
) -> None:
    """Write bronze's rows, as of one moment, to a file; everything goes on meanwhile."""
    from payment_operations import backup as backups

    done = backups.backup(settings.load(), file)
    typer.echo(f"{done.events:,} events in {file}, {done.bytes:,} bytes")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="What `payments backup` wrote.")]) -> None:
    """Bring a backup's rows into an empty database, and say what to run then."""
    from payment_operations import backup as backups

    done = backups.restore(settings.load(), file)
    since = done.taken_at - REPLAY_BEFORE
    typer.echo(
        f"{done.events:,} events are back, as of {done.taken_at:%Y-%m-%dT%H:%M:%SZ}.\n"
        "If anybody was erased after that, Kafka lacks what this backup lacks: take a newer one.\n"
        "Now run:\n"
        f"  payments replay --from {since:%Y-%m-%dT%H:%M:%SZ} --to 0s   # what came since\n"
        "  payments audit                    # proves that nothing is missing\n"
        "  payments lake reanchor            # the lake goes on from here\n"
        "and then `dbt build --full-refresh`, as docs/runbooks/replay-and-restore.md has it."
    )
