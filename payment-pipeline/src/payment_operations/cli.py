"""The `payments` command: all groups of commands, and how it ends.

Exit codes: 0 the command did its work; 1 the answer is no (a check is red, an audit found something
missing) or a store refused; 2 the call or the configuration is wrong. A mistake is one sentence on
standard error, never a traceback.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from payment_pipeline import invalid_settings, settings
from payment_pipeline.domain.failures import UserError

from .commands import groups
from .safe_text import printable
from .terminal import Screen, show_defect

PACKAGES: Final = {
    "payment_operations",
    "local_stack",
    "orchestration_dagster",
    "payment_pipeline",
}
"""A module of ours that is missing is a defect, not a missing extra."""
USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""typer has a copy of click, and no public name for the base of its errors."""


class _Commands(TyperGroup):
    """The commands. typer's own errors quote the arguments, so this class escapes them."""

    def make_context(self, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - click's own types
        """Parse the options before the command's name."""
        with _escaped_usage_errors():
            return super().make_context(*given, **named)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Parse the rest and run the command."""
        with _escaped_usage_errors():
            return super().invoke(ctx)


@contextmanager
def _escaped_usage_errors() -> Iterator[None]:
    try:
        yield
    except USAGE_ERROR as error:
        message = vars(error).get("message")
        if isinstance(message, str):
            vars(error)["message"] = printable(message)
        raise


def application() -> typer.Typer:
    """Put the groups of commands together."""
    app = typer.Typer(
        cls=_Commands,
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
    sys.excepthook = show_defect
    screen = Screen(stderr=True)
    os.umask(settings.PRIVATE_UMASK)
    try:
        application()()
    except UserError as mistake:
        screen.line(f"payments: {mistake.message}", style="red")
        if mistake.output:
            screen.output(mistake.output)
        sys.exit(mistake.exit_code)
    except ValidationError as wrong:
        for sentence in invalid_settings.sentences(wrong):
            screen.line(f"payments: {sentence}", style="red")
        sys.exit(2)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] in PACKAGES:
            raise
        screen.line(
            f"payments: the Python package {missing.name} is not installed. Install "
            "payment-pipeline with the extras `local` and `lakehouse`.",
            style="red",
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
