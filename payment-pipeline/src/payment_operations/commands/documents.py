"""Commands that generate documents from the code."""

from typing import Annotated, Final

import typer

from payment_operations.commands import Panel
from payment_operations.terminal import Screen

PANEL: Final = Panel.DOCUMENTS
app = typer.Typer()

Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit 1 if the document is out of date.")
]


@app.command()
def contracts(check: Check = False) -> None:
    """Write the contracts of the topics to `docs/contracts`: JSON Schema and AsyncAPI.

    It refuses a change that would break a consumer of the published contracts, unless the change
    raises `schema_version`.
    """
    from payment_pipeline.normalizer import contracts as published

    if check:
        published.check()
        Screen().line("docs/contracts is up to date")
        return
    Screen().line(f"written: {', '.join(published.write()) or 'nothing had changed'}")


@app.command()
def metrics(check: Check = False) -> None:
    """Write the table of all metrics to `docs/guides/metrics.md`."""
    from payment_operations import metrics_table

    if check:
        metrics_table.check()
        Screen().line("docs/guides/metrics.md is up to date")
        return
    Screen().line("written" if metrics_table.write() else "nothing had changed")
