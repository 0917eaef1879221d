"""Compares the events that a provider lists with the events that arrived, in both directions.

A listed event that no table has is missing: its webhook did not arrive. An event in bronze that the
provider does not list was never its event: a leaked signing secret, or another account's webhook.
"""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from payment_pipeline.adapters.sql import queries

from .backfill import GRACE, LIMIT, missing, patiently
from .inventory import EVENTS

FRESH: Final = timedelta(hours=2)
"""A list that ends earlier is too old to judge the events by."""

_SQL: Final = queries(__package__, "queries.sql")


class Account(NamedTuple):
    """How far the events of an account are pulled."""

    account: str
    livemode: bool
    complete_from: datetime | None
    complete_to: datetime | None
    events: int
    """Listed events."""


class Comparison(NamedTuple):
    """The result of a comparison."""

    provider: str
    accounts: tuple[Account, ...]
    stale: tuple[str, ...]
    """Accounts that were never pulled completely, or too long ago."""
    missing: tuple[str, ...]
    """Event ids, the oldest first; at most `LIMIT`."""
    unlisted: tuple[str, ...]
    """Event ids, the oldest first; at most `LIMIT`. Only for the time that is pulled completely."""

    @property
    def is_whole(self) -> bool:
        """True if no event is known to be missing or unlisted, however old the lists are."""
        return not self.missing and not self.unlisted

    @property
    def ok(self) -> bool:
        """True if nothing is missing and nothing is unlisted, and the lists are fresh."""
        return exit_code(self) == 0


async def compare(pool: asyncpg.Pool, provider: str, now: datetime) -> Comparison:
    """Compare what is pulled with bronze. It asks no API."""
    rows = await patiently(pool, _SQL["accounts"], provider, EVENTS)
    accounts = tuple(Account(*row) for row in rows)
    oldest = now - FRESH
    stale = tuple(
        each.account for each in accounts if each.complete_to is None or each.complete_to < oldest
    )
    unlisted = await patiently(pool, _SQL["unlisted"], provider, EVENTS, GRACE, LIMIT)
    return Comparison(
        provider,
        accounts,
        stale,
        tuple(each.event_id for each in await missing(pool, provider, now)),
        tuple(row["event_id"] for row in unlisted),
    )


def exit_code(compared: Comparison) -> int:
    """0 clean, 1 events are missing or unlisted, 2 not judged."""
    if not compared.is_whole:
        return 1
    return 2 if compared.stale or not compared.accounts else 0


def verdict(compared: Comparison) -> str:
    """The result in one sentence."""
    if not compared.accounts:
        return "not judged: no event list was pulled; run `payments books pull`"
    faults = [
        f"{len(ids):,} {what}"
        for ids, what in (
            (compared.missing, "listed events that nobody received (MISSING_WEBHOOK)"),
            (compared.unlisted, "events that the provider does not list (MISSING_IN_PROVIDER)"),
        )
        if ids
    ]
    if faults:
        return f"not clean: {'; '.join(faults)}"
    if compared.stale:
        return f"not judged: the list of {', '.join(compared.stale)} is too old (STALE_SOURCE)"
    listed = sum(each.events for each in compared.accounts)
    return f"clean: {listed:,} listed events, and each one that a model covers is here"


def as_json(compared: Comparison) -> dict[str, Any]:
    """The result as `--json` prints it."""
    return {
        "ok": compared.ok,
        "verdict": verdict(compared),
        "accounts": [
            {
                **each._asdict(),
                "complete_from": each.complete_from and each.complete_from.isoformat(),
                "complete_to": each.complete_to and each.complete_to.isoformat(),
            }
            for each in compared.accounts
        ],
        "stale": [*compared.stale],
        "missing": [*compared.missing],
        "unlisted": [*compared.unlisted],
    }
