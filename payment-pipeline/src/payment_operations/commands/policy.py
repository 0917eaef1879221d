"""The command that compares a decision policy with today's threshold."""

from pathlib import Path
from typing import Annotated, Final

import typer

from payment_operations.command_options import ForMachine
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.DATA
app = typer.Typer(
    name="policy",
    no_args_is_help=True,
    help="Compare the money under today's fraud threshold and under a policy of costs.",
)


@app.command()
def simulate(
    days: Annotated[
        int, typer.Option(min=1, max=3650, help="How many of the last days to look at.")
    ] = 90,
    policy: Annotated[
        Path | None,
        typer.Option(help="The file of the proposed policy; by default the example's costs."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Today's threshold, if it is not the setting's."),
    ] = None,
    as_json: ForMachine = False,
) -> None:
    """Show what the past payments would have cost under today's threshold and under a policy.

    It reads bronze and changes nothing. It shows money by currency, and the saving's interval.
    """
    from payment_operations import policy_simulation

    policy_simulation.simulate(settings.load(), days, policy, threshold, as_json=as_json)
