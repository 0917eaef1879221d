"""Commands that list and answer reviews."""

from typing import Annotated, Final

import typer

from payment_operations.command_options import ForMachine
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.REPAIR
app = typer.Typer(
    name="review",
    no_args_is_help=True,
    help="List and answer the payments that wait for a person's review.",
)

Payment = Annotated[
    str, typer.Argument(help="The payment's id, as `payments review list` shows it.")
]
Reviewer = Annotated[
    str, typer.Option("--by", envvar="USER", help="Your name; it is stored with the outcome.")
]
Note = Annotated[str, typer.Option(help="The reason, for the next reader; no personal data.")]


@app.command("list")
def review_list(as_json: ForMachine = False) -> None:
    """Show the payments that look like fraud and wait for an answer, the most urgent first.

    If no answer comes in time, the value under "on timeout" becomes the outcome.
    """
    from payment_operations import review_queue

    review_queue.show_open(settings.load(), as_json=as_json)


@app.command()
def approve(payment: Payment, by: Reviewer = "", note: Note = "") -> None:
    """Say that a payment is genuine; exit 1 if the payment has no open review."""
    from payment_operations import review_queue
    from payment_operations.operator_actions import recorded
    from payment_pipeline.orchestrator import messages

    config = settings.load()
    with recorded(config, "review approve", by) as act:
        review_queue.answer(config, payment, messages.Verdict.APPROVED, by, note)
        act.detail["payment"] = payment  # only now it is known to be a payment's id


@app.command()
def decline(payment: Payment, by: Reviewer = "", note: Note = "") -> None:
    """Say that a payment is fraud; exit 1 if the payment has no open review. It moves no money."""
    from payment_operations import review_queue
    from payment_operations.operator_actions import recorded
    from payment_pipeline.orchestrator import messages

    config = settings.load()
    with recorded(config, "review decline", by) as act:
        review_queue.answer(config, payment, messages.Verdict.DECLINED, by, note)
        act.detail["payment"] = payment  # only now it is known to be a payment's id
