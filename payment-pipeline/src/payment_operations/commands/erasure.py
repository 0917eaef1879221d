"""The command that erases a person."""

import sys
from typing import Annotated, Final

import typer

from payment_operations.command_options import AsJson
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.REPAIR
app = typer.Typer()


@app.command()
def forget(
    customer: Annotated[str, typer.Option(metavar="ID", help="The customer's id at the provider.")],
    provider: Annotated[str, typer.Option(help="The provider of the customer's id.")] = "stripe",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is found; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    through: Annotated[
        str, typer.Option(help="`facts`, or `bronze` if there is no lakehouse.")
    ] = "facts",
    as_json: AsJson = False,
) -> None:
    """Erase a person everywhere, and prove it; exit 1 if something is left.

    It searches the topics, Temporal, every table of bronze and every file of the lake. It deletes
    records and files, replaces the customer's id by a random token, and searches again. Amounts and
    events stay. If it was interrupted, call it again. Delete the customer at the provider first:
    events that the provider sends later are of a new customer. See docs/runbooks/erasure.md.
    """
    from payment_operations import erasure_run
    from payment_operations.operator_actions import recorded

    request = erasure_run.Request(
        provider, customer, through, dry_run=dry_run, confirmed=yes, as_json=as_json
    )
    config = settings.load()
    lakehouse = None
    if through == erasure_run.FACTS:
        from payment_operations.lakehouse_erasure import WholeLake

        lakehouse = WholeLake(config)
    with recorded(config, "forget", really=not dry_run) as act:
        code = erasure_run.main(config, request, lakehouse, act.detail)
        act.detail["exit_code"] = code
    sys.exit(code)
