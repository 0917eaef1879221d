"""The `payments` command: all groups of commands, and how it ends.

Exit codes: 0 the command did its work; 1 the answer is no (a check is red, an audit found something
missing) or a store refused; 2 the call or the configuration is wrong. A mistake is one sentence on
standard error, never a traceback.
"""

import sys
from typing import Final

import typer
from pydantic import ValidationError
from rich.console import Console

from payment_pipeline import settings
from payment_pipeline.domain.failures import UserError

from .commands import groups

PACKAGES: Final = {
    "payment_operations",
    "local_stack",
    "orchestration_dagster",
    "payment_pipeline",
}
"""A module of ours that is missing is a defect, not a missing extra."""


def application() -> typer.Typer:
    """Put the groups of commands together."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        help="Signed payment webhooks in, nothing lost, every payment scored.",
    )
    for group in groups():
        for command in group.app.registered_commands:
            command.rich_help_panel = group.PANEL.value
        app.add_typer(group.app, rich_help_panel=group.PANEL.value)
    return app


def main() -> None:
    """Run one command; report a mistake as one sentence and an exit code."""
    stderr = Console(stderr=True, highlight=False)
    try:
        application()()
    except UserError as mistake:
        stderr.print(f"payments: {mistake}", style="red", markup=False, soft_wrap=True)
        sys.exit(mistake.exit_code)
    except ValidationError as wrong:
        for sentence in settings.sentences(wrong):
            stderr.print(f"payments: {sentence}", style="red", markup=False)
        sys.exit(2)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] in PACKAGES:
            raise
        stderr.print(
            f"payments: the Python package {missing.name} is not installed. Install "
            "payment-pipeline with the extras `local` and `lakehouse`.",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
