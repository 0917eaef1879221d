"""The provider's books on the terminal and as JSON: what was pulled, compared and fetched."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from payment_pipeline.books import event_comparison
from payment_pipeline.books.backfill import Filled, Missing
from payment_pipeline.books.event_comparison import Comparison
from payment_pipeline.books.inventory import Pulled

from .terminal import Screen, fixed_column, number_column, table, text_column

NAMED_MAX: Final = 20
"""How many events are named on the terminal. The JSON names all of them."""


def show_pulled(pulled: Sequence[Pulled], provider: str, screen: Screen) -> None:
    """Print what was pulled of each account."""
    shown = table(text_column("account"), number_column("pages"), number_column("events"))
    for each in pulled:
        shown.row(each.account, f"{each.pages:,}", f"{each.events:,}")
    screen.grid(shown, f"Events that {provider} lists")


def show_comparison(compared: Comparison, screen: Screen) -> None:
    """Print the accounts, the first events that are missing or unlisted, and the verdict."""
    shown = table(text_column("account"), number_column("listed"), fixed_column("complete to, UTC"))
    for each in compared.accounts:
        to = f"{each.complete_to:%Y-%m-%d %H:%M:%S}" if each.complete_to else "never"
        shown.row(each.account, f"{each.events:,}", to)
    screen.grid(shown, f"Events that {compared.provider} lists")
    for finding, what in (
        (compared.missing, "listed, and nobody received them"),
        (compared.unlisted, "in bronze, and the provider does not list them"),
    ):
        for event_id in finding[:NAMED_MAX]:
            screen.line(f"  {event_id}: {what}")
    style = "green" if event_comparison.exit_code(compared) == 0 else "red"
    screen.line(event_comparison.verdict(compared), style=style)
    if compared.missing:
        screen.line("  → `payments books backfill --missing` fetches them")


def show_filled(filled: Sequence[Filled], screen: Screen) -> None:
    """Print the outcome of the first events, and the counts of all."""
    outcomes = Counter(each.outcome.value for each in filled)
    shown = table(text_column("event"), text_column("type"), fixed_column("outcome"))
    for each in filled[:NAMED_MAX]:
        shown.row(each.event.event_id, each.event.event_type, each.outcome.value)
    if filled:
        screen.grid(shown, "Events that nobody received")
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
    screen.line(f"{len(filled):,} missing events: {counts}." if filled else "No event is missing.")


def filled_as_json(each: Filled) -> dict[str, Any]:
    """Return a missing event and its outcome."""
    event: Missing = each.event
    return {
        **event._asdict(),
        "created_at": event.created_at.isoformat(),
        "outcome": each.outcome.value,
    }


def pulled_as_json(each: Pulled) -> dict[str, Any]:
    """Return what a walk of one account found."""
    window = {"from": each.window.since.isoformat(), "to": each.window.until.isoformat()}
    return {**each._asdict(), "window": window}
