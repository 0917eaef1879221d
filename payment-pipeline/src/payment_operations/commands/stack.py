"""Commands that start, stop and examine the pipeline's components."""

from typing import Annotated, Final

import typer

from payment_operations.command_options import ForMachine, names
from payment_operations.commands import Panel
from payment_operations.terminal import Screen
from payment_pipeline import settings

PANEL: Final = Panel.STACK
app = typer.Typer()

Groups = Annotated[
    str,
    typer.Option(
        "--with", help="Groups to add to the pipeline: `lakehouse`, `dashboards`, or both."
    ),
]


@app.command()
def up(
    only: Annotated[
        str,
        typer.Option(help="Comma-separated components to start, with all that they depend on."),
    ] = "",
    groups: Groups = "",
    secure: Annotated[
        bool,
        typer.Option(
            "--secure",
            help="Use TLS between the components, and a password for each. The stack stays so.",
        ),
    ] = False,
) -> None:
    """Start the native stack, and return when every component is ready.

    Components that run are left alone, so you may call it again. It restarts those that failed.
    """
    from payment_operations import stack_text

    stack_text.up(settings.load(), names(only), names(groups), secure=secure)


@app.command()
def run(
    component: Annotated[str, typer.Argument(help="A component, as `payments status` names it.")],
    only_prepare: Annotated[
        bool,
        typer.Option("--only-prepare", help="Write its files and stop: another container runs it."),
    ] = False,
    prepared: Annotated[
        bool,
        typer.Option("--prepared", help="Another container has written its files: only run it."),
    ] = False,
) -> None:
    """Run one component in the foreground, as a container does.

    The stores and services that it calls must run already: their addresses are settings. It
    prepares the component as `payments up` does, for example it trains models that are missing.
    """
    from local_stack import foreground

    if only_prepare and prepared:
        raise typer.BadParameter("--only-prepare and --prepared exclude each other")
    progress = Screen(stderr=True).line
    if only_prepare:
        foreground.prepare(settings.load(), component, progress)
    else:
        foreground.run(settings.load(), component, progress, prepared=prepared)


@app.command()
def down() -> None:
    """Stop every process of the stack. The data stays."""
    from local_stack import stack

    found = settings.load()
    stack.down(found)
    Screen().line(f"Everything is stopped. The data stays in {found.var}.")


@app.command()
def status(as_json: ForMachine = False) -> None:
    """Show where each component runs and whether it is ready; exit 1 if one is not."""
    from local_stack import stack
    from payment_operations import stack_text

    statuses = stack.status(settings.load())
    if as_json:
        Screen().json([each._asdict() for each in statuses], indent=2)
    else:
        stack_text.show_status(statuses)
    all_well = all(each.ready or each.state == "elsewhere" for each in statuses)
    raise typer.Exit(0 if all_well else 1)


@app.command()
def logs(
    components: Annotated[
        list[str] | None, typer.Argument(help="Components; all of them if you name none.")
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many lines of each to show.")
    ] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show new lines until Ctrl-C.")
    ] = False,
) -> None:
    """Show the last log lines of the components."""
    from payment_operations import stack_text

    stack_text.show_logs(settings.load(), tuple(components or ()), lines, on=follow)


@app.command()
def doctor(groups: Groups = "", as_json: ForMachine = False) -> None:
    """Check this machine and the running stores; exit 1 if a check is red.

    For each red check it says what to do. Of the stores that run, it also checks whether Kafka
    keeps records long enough for a stage that is behind, and whether a transaction keeps rows from
    the lake. It starts and changes nothing.
    """
    from local_stack import components, preflight
    from payment_operations import retention_checks, stack_text

    checks = preflight.checks(settings.load(), components.chosen(groups=names(groups)))
    checks += retention_checks.checks(settings.load())
    if as_json:
        Screen().json([check._asdict() for check in checks], indent=2)
    else:
        stack_text.show_checks(checks, Screen())
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


@app.command()
def migrate() -> None:
    """Create or update PostgreSQL's schema, Kafka's topics and Temporal's search attributes.

    `payments up` does this too. Call it where the stores run elsewhere. You may call it again.
    """
    import asyncio

    from payment_operations import provisioning

    for store, made in asyncio.run(provisioning.migrate(settings.load())).items():
        Screen().line(f"{store}: {', '.join(made) or 'nothing to do'}")


@app.command()
def demo(
    events: Annotated[
        int,
        typer.Option(min=100, help="How many genuine events to send; one in five is a payment."),
    ] = 15_000,
) -> None:
    """Run the whole product once: start, simulate, load, build the marts, audit.

    It ends with links, figures and the audit's verdict; exit 1 if the audit is not clean. Each call
    adds new payments.
    """
    import sys

    from payment_operations import demo as whole

    sys.exit(whole.run(settings.load(), events))
