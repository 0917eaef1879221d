"""Open reviews on the terminal, and the answers to them."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import quote

from payment_pipeline.adapters import temporal
from payment_pipeline.orchestrator import reviews
from payment_pipeline.orchestrator.messages import Verdict
from payment_pipeline.orchestrator.reviews import OpenReview
from payment_pipeline.settings import Settings

from .terminal import Grid, Screen, fixed_column, number_column, table, text_column


def show_open(settings: Settings, *, as_json: bool) -> None:
    """Print the open reviews, the one that is due first at the top.

    Raises:
        UserError: Temporal does not answer.
    """

    async def ask() -> list[OpenReview]:
        with temporal.refusals(settings):
            return await reviews.open_reviews(await temporal.connect(settings))

    found = asyncio.run(ask())
    screen = Screen()
    if as_json:
        screen.json([_as_json(settings, review) for review in found], indent=2)
    elif not found:
        screen.line("No payment waits for a review.")
    else:
        screen.grid(open_table(found, datetime.now(UTC)))
        screen.line("Answer with `payments review approve PAYMENT` or `… decline PAYMENT`.")
        screen.line(f"Each review is a workflow in the Temporal UI: {settings.temporal_ui}")


def answer(settings: Settings, payment_id: str, verdict: Verdict, reviewer: str, note: str) -> None:
    """Send an answer, and say what the outcome of the review is.

    Raises:
        UserError: Temporal does not answer, there is no such review, or it is closed.
    """

    async def send() -> None:
        client = await temporal.connect(settings)
        with temporal.refusals(settings):
            state = await reviews.answer(client, payment_id, verdict, reviewer, note)
        if state is None:
            screen.line(
                f"{payment_id}: the answer is sent. It is stored as soon as the worker runs: see "
                "`payments status`."
            )
        elif state.outcome.value != verdict.value:  # another answer or the timeout was earlier
            screen.line(f"{payment_id}: the review was already decided: {state.outcome.value}.")
        else:
            screen.line(f"{payment_id}: {state.outcome.value} by {state.reviewer}, recorded.")

    screen = Screen()
    asyncio.run(send())


def open_table(found: list[OpenReview], now: datetime) -> Grid:
    """Every open review; each has a line for its payment, its customer and its merchant."""
    shown = table(
        text_column("payment"),
        number_column("fraud score", width=5),
        fixed_column("time left", width=8),
        fixed_column("on timeout", width=8),
    )
    for review in found:
        ids = [review.payment_id]
        ids += [f"  customer {review.customer_id}"] if review.customer_id else []
        ids += [f"  merchant {review.merchant_id}"] if review.merchant_id else []
        shown.row(ids, f"{review.fraud_score:.2f}", _left(review, now), review.on_timeout)
    return shown


def _as_json(settings: Settings, review: OpenReview) -> dict[str, str | float | None]:
    return {
        **review._asdict(),
        "opened_at": review.opened_at.isoformat(),
        "due_at": review.due_at.isoformat(),
        "url": _link(settings, review),
    }


def _left(review: OpenReview, now: datetime) -> str:
    minutes = int((review.due_at - now).total_seconds()) // 60
    return f"{minutes // 60}h {minutes % 60:02d}m" if minutes >= 0 else "none"


def _link(settings: Settings, review: OpenReview) -> str:
    namespace, workflow_id = settings.temporal_namespace, quote(review.workflow_id, safe="")
    base = f"{settings.temporal_ui}/namespaces/{namespace}"
    return f"{base}/workflows/{workflow_id}/{review.run_id}/history"
