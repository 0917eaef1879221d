"""Commands that make and compare the access to the lakehouse's catalog in Polaris."""

import asyncio
from typing import Annotated, Final

import typer

from payment_operations.commands import Panel
from payment_operations.terminal import Screen
from payment_pipeline import settings

PANEL: Final = Panel.LAKEHOUSE
app = typer.Typer(
    name="catalog",
    no_args_is_help=True,
    help="Make the catalog, principals and roles of Polaris as described; show what differs.",
)


@app.command("apply")
def apply(
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help="Take away grants and roles that are not described."),
    ] = False,
) -> None:
    """Make the catalog, namespaces, principals, roles and grants; a second call changes nothing.

    Each principal gets the secret of the settings, so a changed secret is exchanged.
    """
    from payment_operations import catalog_changes

    screen = Screen()
    changed: list[str] = []

    def told(line: str) -> None:
        changed.append(line)
        screen.line(line)

    left = asyncio.run(catalog_changes.apply(settings.load(), revoke=revoke, told=told))
    for fact in left:
        screen.line(f"not described: {fact}")
    screen.line(f"{len(changed)} changes, {len(left)} facts not described")


@app.command("diff")
def diff() -> None:
    """Show what differs from the description; exit 1 if something does, 2 if nothing was judged."""
    from payment_operations import catalog_changes

    found = asyncio.run(catalog_changes.drift(settings.load()))
    screen = Screen()
    for fact in found.missing:
        screen.line(f"missing: {fact}")
    for fact in found.undescribed:
        screen.line(f"not described: {fact}")
    screen.line(f"{len(found.missing)} missing, {len(found.undescribed)} not described")
    raise typer.Exit(1 if any(found) else 0)
