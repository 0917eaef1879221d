"""The `payments` command: one verb a line, each a thin call into the stage that does the work.

Exit codes: 0 done; 1 the answer is no (a check is red, the audit found something missing); 2 the
call or the configuration is wrong. A mistake is one sentence on standard error, never a traceback.
Imports are inside the verbs, so that `payments --help` doesn't load every stage.
"""

import sys
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from payment_pipeline import settings
from payment_pipeline.domain.failures import UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Signed payment webhooks in, nothing lost, every payment scored.",
)


def main() -> None:
    """Run one verb; turn every mistake of the user's into a sentence and an exit code."""
    stderr = Console(stderr=True, highlight=False)
    try:
        app()
    except UserError as mistake:
        stderr.print(f"payments: {mistake}", style="red", markup=False)
        sys.exit(mistake.exit_code)
    except ValidationError as wrong:
        for error in wrong.errors():
            name = "_".join(str(part) for part in error["loc"]).upper()
            stderr.print(f"payments: PAYMENTS_{name}: {error['msg']}", style="red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def up(
    only: Annotated[
        str, typer.Option(help="Comma-separated components; what they need comes with them.")
    ] = "",
) -> None:
    """Start the native stack, and return when every component is truly ready.

    Calling it again changes nothing that runs, and brings back what has died.
    """
    from local_stack import report

    report.up(settings.load(), tuple(name for name in only.split(",") if name))


@app.command()
def down() -> None:
    """Stop every process of the stack; its data stays."""
    import local_stack

    local_stack.down(settings.load())


@app.command()
def migrate() -> None:
    """Provision the stores: PostgreSQL's schema, Kafka's topics, Temporal's search attributes.

    `up` does it too. Call it where the stores run elsewhere.
    """
    import asyncio

    from local_stack import provision

    for store, made in asyncio.run(provision.migrate(settings.load())).items():
        typer.echo(f"{store}: {', '.join(made) or 'nothing to do'}")


if __name__ == "__main__":
    main()
