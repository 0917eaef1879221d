"""The command that runs dbt."""

from typing import Final

import typer

from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.LAKEHOUSE
app = typer.Typer()

PASSED_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Arguments and options belong to dbt; `--help` does too."""


@app.command(add_help_option=False, context_settings=PASSED_ON)
def dbt(context: typer.Context) -> None:
    """Run dbt in its project on Trino; all arguments are dbt's own."""
    from payment_operations.dbt_command import become_dbt

    become_dbt(settings.load(), context.args)
