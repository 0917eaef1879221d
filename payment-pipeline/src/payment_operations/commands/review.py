"""Which verbs does `payments review` have? Thin calls into `review_desk`."""

from typing import Annotated

import typer

from payment_pipeline import settings

app = typer.Typer(
    no_args_is_help=True, help="See and answer the payments that wait for a person's review."
)


@app.command("list")
def review_list(
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Show the payments that look like fraud and wait for an answer, the most urgent first.

    Without an answer in time, what stands under "else" becomes the outcome.
    """
    from payment_operations import review_table

    review_table.show_open(settings.load(), as_json=as_json)


Payment = Annotated[str, typer.Argument(help="The payment's id, as `payments review list` has it.")]
Reviewer = Annotated[
    str, typer.Option("--by", envvar="USER", help="Who answers; kept with the outcome.")
]
Note = Annotated[str, typer.Option(help="Why, for the next reader; no personal data.")]


@app.command()
def approve(payment: Payment, by: Reviewer = "", note: Note = "") -> None:
    """Say that a payment is genuine; exit 1 when it waits for no answer."""
    from payment_operations import review_table
    from payment_pipeline.orchestrator import messages

    review_table.give(settings.load(), payment, messages.Verdict.APPROVED, by, note)


@app.command()
def decline(payment: Payment, by: Reviewer = "", note: Note = "") -> None:
    """Say that a payment is fraud; exit 1 when it waits for no answer. It moves no money."""
    from payment_operations import review_table
    from payment_pipeline.orchestrator import messages

    review_table.give(settings.load(), payment, messages.Verdict.DECLINED, by, note)
