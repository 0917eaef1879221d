"""What does a person at a terminal see of the reviews, and what does the answer say?"""

import asyncio
import json
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Column, Table

from payment_pipeline.adapters import temporal
from payment_pipeline.orchestrator import reviews
from payment_pipeline.orchestrator.messages import Verdict
from payment_pipeline.orchestrator.reviews import OpenReview
from payment_pipeline.settings import Settings


def show_open(settings: Settings, *, as_json: bool) -> None:
    """Print the reviews that wait, the one that is due first at the top.

    Raises:
        UserError: Temporal doesn't answer.
    """

    async def ask() -> list[OpenReview]:
        with temporal.refusals(settings):
            return await reviews.open_reviews(await temporal.connect(settings))

    found = asyncio.run(ask())
    console = Console()
    if as_json:
        console.print_json(json.dumps([_as_json(settings, review) for review in found]))
    elif not found:
        console.print("No payment waits for a review.")
    else:
        _print(console, settings, found)


def answer(settings: Settings, payment_id: str, verdict: Verdict, reviewer: str, note: str) -> None:
    """Send an answer, and say what became of it.

    Raises:
        UserError: Temporal doesn't answer, there is no such review, or it was decided before.
    """

    async def send() -> None:
        client = await temporal.connect(settings)
        with temporal.refusals(settings):
            state = await reviews.answer(client, payment_id, verdict, reviewer, note)
        if state is None:
            console.print(f"{payment_id}: sent; it will be recorded when the worker is up.")
        elif state.outcome.value != verdict.value:  # somebody, or the timeout, was faster
            console.print(f"{payment_id}: was decided before: {state.outcome.value}.")
        else:
            console.print(f"{payment_id}: {state.outcome.value} by {state.reviewer}, recorded.")

    console = Console()
    asyncio.run(send())


def _print(console: Console, settings: Settings, found: list[OpenReview]) -> None:
    # The payment's id whole, whatever the terminal's width: the answer is given for it.
    payment = Column("payment", no_wrap=True)
    table = Table(payment, "fraud score", "customer", "merchant", "left", "else")
    for review in found:
        table.add_row(
            review.payment_id,
            f"{review.fraud_score:.2f}",
            review.customer_id or "",
            review.merchant_id or "",
            _left(review),
            review.on_timeout,
        )
    console.print(table)
    console.print("Answer with `payments review approve PAYMENT` or `… decline PAYMENT`.")
    console.print(f"Each is a workflow in the Temporal UI: {settings.temporal_ui}")


def _as_json(settings: Settings, review: OpenReview) -> dict[str, str | float | None]:
    return {
        **review._asdict(),
        "opened_at": review.opened_at.isoformat(),
        "due_at": review.due_at.isoformat(),
        "url": _link(settings, review),
    }


def _left(review: OpenReview) -> str:
    minutes = int((review.due_at - datetime.now(UTC)).total_seconds()) // 60
    return f"{minutes // 60}h {minutes % 60:02d}m" if minutes >= 0 else "over"


def _link(settings: Settings, review: OpenReview) -> str:
    namespace, workflow_id = settings.temporal_namespace, review.workflow_id.replace("/", "%2F")
    base = f"{settings.temporal_ui}/namespaces/{namespace}"
    return f"{base}/workflows/{workflow_id}/{review.run_id}/history"
