"""Commands that list the operators' actions and check their chain."""

import sys
from typing import Annotated, Final

import typer

from payment_operations.command_options import ForMachine
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.PROOF
app = typer.Typer(
    name="actions",
    no_args_is_help=True,
    help="List who changed what with these commands, and check that the list is whole.",
)


@app.command("list")
def list_actions(
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest to show.")] = 50,
    as_json: ForMachine = False,
) -> None:
    """Show the operators' actions: the command, the user of the machine, and the claimed name."""
    from payment_operations import action_text

    action_text.show_list(settings.load(), limit, as_json=as_json)


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER:HASH",
            help="A head that this command printed earlier and that you noted outside.",
        ),
    ] = None,
    as_json: ForMachine = False,
) -> None:
    """Check the chain; exit 1 if it is broken, 2 if it can't be checked.

    An action that was changed, deleted or moved breaks the chain. Without --head a chain whose
    newest actions were deleted looks whole.
    """
    from payment_operations import action_text

    sys.exit(action_text.verify(settings.load(), head, as_json=as_json))
