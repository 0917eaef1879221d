"""Commands that list, show, redrive and close dead letters."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from payment_operations.command_options import INSTANT, ForMachine
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.REPAIR
app = typer.Typer(
    name="dlq",
    no_args_is_help=True,
    help="List the dead letters by cause, show one, and send them through the pipeline again.",
)

Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="A failure class, e.g. unknown_currency; may be repeated."),
]
Error = Annotated[str | None, typer.Option(help="A part of an error, as `list` shows it.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="A provider's event type; may be repeated."),
]
Since = Annotated[str | None, typer.Option(help=f"Start of the window of receipts: {INSTANT}.")]
Until = Annotated[str | None, typer.Option(help="End of the window, exclusive.")]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", help="The id of a dead letter or of an event; may be repeated."),
]
All = Annotated[bool, typer.Option("--all", help="Every open dead letter, without conflicts.")]
Conflicts = Annotated[
    bool,
    typer.Option("--conflicts", help="Include those whose id bronze has with another body."),
]
By = Annotated[
    str, typer.Option("--by", envvar="USER", help="Your name; it is stored with each dead letter.")
]
Note = Annotated[str, typer.Option(help="The reason, for the next reader; no personal data.")]


@app.command("list")
def list_letters(
    failures: Classes = None,
    since: Since = None,
    until: Until = None,
    closed: Annotated[bool, typer.Option("--closed", help="Include closed dead letters.")] = False,
    as_json: ForMachine = False,
) -> None:
    """Show the open dead letters by class and error, with one example of each group.

    Conflicts are a separate table. Another table has the dead letters that are only on the topics,
    because no workflow has written them to the quarantine yet.
    """
    from payment_operations import dead_letters
    from payment_pipeline.dlq.dead_letter_selection import select

    selection = select(failures or (), None, (), since, until, everything=True, conflicts=True)
    sys.exit(dead_letters.show_list(settings.load(), selection, closed=closed, as_json=as_json))


@app.command()
def show(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The id of a dead letter or of an event, or coordinates: TOPIC/PARTITION/OFFSET.",
        ),
    ],
    body: Annotated[
        bool,
        typer.Option("--body", help="Also print the signed bytes, which hold personal data."),
    ] = False,
    body_to: Annotated[
        Path | None,
        typer.Option(help="Write the signed bytes to a new file that only you can read."),
    ] = None,
    as_json: ForMachine = False,
) -> None:
    """Show a dead letter with every error, its verdict, its trace id and its state.

    Control characters are printed as escapes, so that a body cannot control the terminal.
    """
    from payment_operations import dead_letters

    config = settings.load()
    sys.exit(dead_letters.show(config, wanted, body=body, body_to=body_to, as_json=as_json))


@app.command()
def redrive(
    failures: Classes = None,
    error: Error = None,
    types: Types = None,
    since: Since = None,
    until: Until = None,
    ids: Ids = None,
    everything: All = False,
    conflicts: Conflicts = False,
    patch: Annotated[
        str | None,
        typer.Option(help="A JSON patch (RFC 6902) for each body: the array, or a file's name."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge each dead letter; send and change nothing.")
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0, help="Events a second at most; 0 is as fast as possible.")
    ] = 100,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until bronze has the last events.")
    ] = 60,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many to take at most, oldest first.")
    ] = 100_000,
    by: By = "",
    note: Note = "",
    as_json: ForMachine = False,
) -> None:
    """Send dead letters through the pipeline again; exit 1 if some stay open.

    Each event goes to its raw topic with its first time of receipt. Bronze stores an id once, so
    nothing is duplicated. A dead letter is closed only when bronze has its event. Events that
    today's code would reject again are not sent. After a crash, or while events are under way, call
    it again: it continues.
    """
    from payment_operations import dead_letters
    from payment_operations.operator_actions import recorded
    from payment_pipeline.dlq import json_patch as patches
    from payment_pipeline.dlq.dead_letter_selection import select
    from payment_pipeline.dlq.redrive import Request

    selection = select(
        failures or (), error, types or (), since, until, ids or (),
        everything=everything, conflicts=conflicts, limit=limit,
    )  # fmt: skip
    config = settings.load()
    request = Request(
        closer=dead_letters.closer(by or ("nobody" if dry_run else ""), note),
        patch=patches.read(patch) if patch else None,
        dry_run=dry_run,
        rate=rate or None,
        wait_s=wait,
        body_bytes_max=config.body_bytes_max,
    )
    with recorded(config, "dlq redrive", by, really=not dry_run) as act:
        code = dead_letters.redrive(config, selection, request, act.detail, as_json=as_json)
        act.detail["exit_code"] = code
    sys.exit(code)


@app.command()
def dismiss(
    note: Note,
    failures: Classes = None,
    error: Error = None,
    types: Types = None,
    since: Since = None,
    until: Until = None,
    ids: Ids = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many would be closed.")
    ] = False,
    by: By = "",
) -> None:
    """Close dead letters that will never become events; they stay in the quarantine.

    A conflict is closed only if you select it by its class or its id.
    """
    from payment_operations import dead_letters
    from payment_operations.operator_actions import recorded
    from payment_pipeline.dlq.dead_letter_selection import select

    named = bool(ids) or "conflicting_body" in (failures or ())
    selection = select(failures or (), error, types or (), since, until, ids or (), conflicts=named)
    closer = dead_letters.closer(by, note)
    config = settings.load()
    with recorded(config, "dlq dismiss", by, really=not dry_run) as act:
        code = dead_letters.dismiss(config, selection, closer, act.detail, dry_run=dry_run)
    sys.exit(code)


@app.command()
def reopen(
    ids: Annotated[list[str], typer.Argument(help="Ids of dead letters or of events.")],
) -> None:
    """Open dismissed dead letters again."""
    from payment_operations import dead_letters
    from payment_operations.operator_actions import recorded
    from payment_pipeline.dlq.dead_letter_selection import select

    config = settings.load()
    selection = select(ids=ids, conflicts=True)
    with recorded(config, "dlq reopen") as act:
        code = dead_letters.reopen(config, selection, act.detail)
    sys.exit(code)
