"""Commands for the provider's own books: pull what its API lists, fetch what nobody received."""

import sys
from typing import Annotated, Final

import typer

from payment_operations.command_options import AsJson
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.PROOF
app = typer.Typer(
    name="books",
    no_args_is_help=True,
    help="Compare what arrived with what the provider's API says, and fetch what is missing.",
)

ProviderName = Annotated[str, typer.Option("--provider", help="The provider.")]


@app.command()
def pull(
    provider: ProviderName = "stripe",
    since: Annotated[
        str | None,
        typer.Option(
            help="Oldest creation: RFC 3339, or an age such as 2h or 29d. "
            "Left out, the pull continues where the last one ended."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pull the list of the provider's events, of the key's account and each connected one.

    A page and the cursor behind it are stored in one transaction. So a pull that was killed
    continues where it stopped. The provider lists an event for a limited time (Stripe: 30 days).
    """
    from payment_operations import books_run
    from payment_operations.operator_actions import recorded

    config = settings.load()
    with recorded(config, "books pull") as act:
        code = books_run.pull(config, provider, since, act.detail, as_json=as_json)
    sys.exit(code)


@app.command()
def status(provider: ProviderName = "stripe", as_json: AsJson = False) -> None:
    """Say whether every listed event is here, and every event is listed; exit 1 or 2 if not.

    Exit 1 names the events that the provider lists and nobody received, and the events in bronze
    that the provider does not list. Exit 2: the last pull is too old, so nothing can be said.
    """
    from payment_operations import books_run

    sys.exit(books_run.status(settings.load(), provider, as_json=as_json))


@app.command()
def backfill(
    missing: Annotated[
        bool, typer.Option("--missing", help="Fetch every event that nobody received.")
    ] = False,
    provider: ProviderName = "stripe",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Name the missing events, and fetch nothing.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many to take at most, oldest first.")
    ] = 100_000,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until bronze has the last events.")
    ] = 60,
    by: Annotated[
        str, typer.Option("--by", envvar="USER", help="Your name; it is stored with each event.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Fetch missing events and send them through the pipeline; exit 1 if some stay missing.

    An event is missing if the provider lists it for more than 15 minutes and no table has it. It is
    sent to its raw topic with the header `provenance: api`. Bronze stores an id once, so a webhook
    that arrives later is a duplicate. After a crash, call it again: it continues.
    """
    from payment_operations import books_run
    from payment_operations.operator_actions import recorded

    config = settings.load()
    with recorded(config, "books backfill", by, really=not dry_run) as act:
        code = books_run.backfill(
            config, provider, act.detail,
            missing=missing, by=by, dry_run=dry_run, limit=limit, wait_s=wait, as_json=as_json,
        )  # fmt: skip
        act.detail["exit_code"] = code
    sys.exit(code)
