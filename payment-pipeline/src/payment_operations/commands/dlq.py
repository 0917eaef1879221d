"""`payments dlq`: which verbs are there for dead letters, and what do they take?

Imports are inside the verbs, as in `payment_operations.cli`.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from payment_pipeline import settings

app = typer.Typer(
    no_args_is_help=True,
    help="See the dead letters by cause, look at one, and send them on their way again.",
)

Classes = Annotated[
    list[str] | None, typer.Option("--class", help="Failure class, e.g. unknown_currency; again.")
]
Error = Annotated[str | None, typer.Option(help="Part of an error, as `list` shows it.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="The provider's event type; again for more.")
]
Since = Annotated[str | None, typer.Option(help="Received from then on: RFC 3339, or 2h, 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Received before then.")]
Ids = Annotated[
    list[str] | None, typer.Option("--id", help="A letter's id or an event's; again for more.")
]
All = Annotated[bool, typer.Option("--all", help="Every open letter; conflicts stay apart.")]
Conflicts = Annotated[
    bool, typer.Option("--conflicts", help="Also those whose id bronze has with another body.")
]
By = Annotated[str, typer.Option("--by", envvar="USER", help="Who does it; kept with each.")]
Note = Annotated[str, typer.Option(help="Why, for the next reader; no personal data.")]
AsJson = Annotated[bool, typer.Option("--json", help="For a machine.")]


@app.command("list")
def list_letters(
    failures: Classes = None,
    since: Since = None,
    until: Until = None,
    closed: Annotated[bool, typer.Option("--closed", help="Those that are closed too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the open dead letters by class and error, with one of each to look at.

    Conflicts stand apart, and so does what lies only on the topics, since no workflow has brought
    it to the quarantine yet.
    """
    from payment_operations import dead_letters
    from payment_pipeline.dlq.selection import select

    selection = select(failures or (), None, (), since, until, everything=True, conflicts=True)
    sys.exit(dead_letters.show_list(settings.load(), selection, closed=closed, as_json=as_json))


@app.command()
def show(
    wanted: Annotated[
        str,
        typer.Argument(metavar="ID", help="A letter's id, or an event's, or a place on a topic."),
    ],
    body: Annotated[
        bool, typer.Option("--body", help="The signed bytes too: they hold personal data.")
    ] = False,
    body_to: Annotated[
        Path | None, typer.Option(help="Write them unchanged to a new file, yours to read.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter with every error, its verdict, its trace, and what became of it.

    What a terminal would obey instead of showing is written out.
    """
    from payment_operations import dead_letters

    sys.exit(
        dead_letters.show(settings.load(), wanted, body=body, body_to=body_to, as_json=as_json)
    )


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
        bool, typer.Option("--dry-run", help="Judge each, send none, change nothing.")
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0, help="Events a second; 0: as fast as they are taken.")
    ] = 100,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds that the pipeline may take for the last ones.")
    ] = 60,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The oldest so many.")] = 100_000,
    by: By = "",
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Send dead letters on their way again, with their first receipt; exit 1 if some stay open.

    Each event goes to its raw topic and takes the usual way. Bronze takes an id once, so nothing is
    ever there twice; a letter is closed only when bronze has its event. What the code would reject
    again is not sent. Again after a crash, or for what was under way, it goes on where it was.
    """
    from payment_operations import dead_letters
    from payment_pipeline.dlq import patch as patches
    from payment_pipeline.dlq.redrive import Request
    from payment_pipeline.dlq.selection import select

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
    sys.exit(dead_letters.redrive(config, selection, request, as_json=as_json))


@app.command()
def dismiss(
    note: Annotated[str, typer.Option(help="Why, for the next reader; no personal data.")],
    failures: Classes = None,
    error: Error = None,
    types: Types = None,
    since: Since = None,
    until: Until = None,
    ids: Ids = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    by: By = "",
) -> None:
    """Close dead letters that will never be an event; they stay in the quarantine.

    A conflict only if it is named, by its class or its id.
    """
    from payment_operations import dead_letters
    from payment_pipeline.dlq.selection import select

    named = bool(ids) or "conflicting_body" in (failures or ())
    selection = select(failures or (), error, types or (), since, until, ids or (), conflicts=named)
    sys.exit(
        dead_letters.dismiss(
            settings.load(), selection, dead_letters.closer(by, note), dry_run=dry_run
        )
    )


@app.command()
def reopen(ids: Annotated[list[str], typer.Argument(help="Letters' ids or events'.")]) -> None:
    """Take dismissals back."""
    from payment_operations import dead_letters
    from payment_pipeline.dlq.selection import select

    sys.exit(dead_letters.reopen(settings.load(), select(ids=ids, conflicts=True)))
