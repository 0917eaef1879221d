"""A seeded history of the last ninety days, received during the last hour, as after a demo.

A few events have odd dates: years ago, and years ahead. Some reviews are open. No recovery has an
outcome on record, because the orchestrator looks at a payment at the earliest after 15 minutes.

Only the time of the end doesn't follow from the seed. Within a test run that time is the same.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Final

from payment_pipeline.bronze.contract import (
    AUDITS_TABLE,
    DECISIONS_TABLE,
    EVENTS_TABLE,
    QUARANTINE_TABLE,
)
from payment_pipeline.simulator import true_money
from payment_pipeline.simulator.true_money import Billing, Booking
from payment_pipeline.simulator.world import Event
from support import lake_rows
from support.lake_rows import Row

SEED: Final = 11
EVENTS: Final = 3000
ODD_EVENTS: Final = 60
ODD_DATES: Final = (datetime(2016, 3, 1, tzinfo=UTC), datetime(2034, 3, 1, tzinfo=UTC))
REJECTIONS: Final = 40
UNMODELLED: Final = 7
REVIEWS_OPEN: Final = 5
HOUR: Final = timedelta(hours=1)


def _markets() -> list[tuple[int, int, datetime]]:
    """The seed, the number of events and the end of each simulation: the usual one first."""
    usual = (SEED, EVENTS, datetime.combine(datetime.now(UTC), time.min, UTC))
    odd = [(SEED + number, ODD_EVENTS, date) for number, date in enumerate(ODD_DATES, start=1)]
    return [usual, *odd]


@cache
def events() -> tuple[Row, ...]:
    """The rows of the events, without the columns that PostgreSQL fills in."""
    usual, *odd = (lake_rows.event_rows(*market) for market in _markets())
    return _received([*usual, *(row for rows in odd for row in _through_a_success(rows))])


@cache
def _simulated() -> tuple[Event, ...]:
    """The simulator's events of these rows, each market in its true order."""
    kept = {row["event_id"] for row in events()}
    sent = (event for market in _markets() for event in lake_rows.simulated(*market))
    return tuple(event for event in sent if event.event_id in kept)


@cache
def true_payments() -> dict[str, Booking]:
    """The money of each payment as the simulator knows it, by the payment's id."""
    return true_money.payments(_simulated())


@cache
def true_subscriptions() -> dict[str, Billing]:
    """What each subscription bills in a month as the simulator knows it, by its id."""
    return true_money.subscriptions(_simulated())


@cache
def rejections() -> tuple[Row, ...]:
    """The rows of the dead letters, without the columns that PostgreSQL fills in."""
    return _received(lake_rows.rejection_rows(REJECTIONS))


@cache
def decisions() -> tuple[Row, ...]:
    """The rows of reviews, and of recoveries with a later advice. A few reviews have no answer."""
    found = lake_rows.decision_rows(events())
    answers = [row for row in found if row["kind"] == "review" and row["outcome"] != "pending"]
    return tuple(
        row | {"outcome": "pending"} if row["kind"] == "recovery" else row
        for row in found
        if row not in answers[:REVIEWS_OPEN]
    )


@cache
def audits() -> tuple[Row, ...]:
    """The rows of the ledger's audits at the end of the hour."""
    received = len(events()) + len(rejections()) + UNMODELLED
    row = lake_rows.audit_row(received, len(rejections()), UNMODELLED, datetime.now(UTC))
    return (row,)


def tables() -> dict[str, list[Row]]:
    """The rows of each lake table, inserted into bronze about a second after their receipt."""
    return {
        EVENTS_TABLE: _ingested(events()),
        QUARANTINE_TABLE: _ingested(rejections()),
        DECISIONS_TABLE: lake_rows.loaded(decisions()),
        AUDITS_TABLE: lake_rows.loaded(audits()),
    }


def _through_a_success(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows up to the last success, so that no charge lacks the event of its payment."""
    last = max(
        number for number, row in enumerate(rows) if row["event_type"] == "payment.succeeded"
    )
    return rows[: last + 1]


def _received(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Times evenly spread over the hour."""
    began = datetime.now(UTC) - HOUR
    return tuple(
        row | {"received_at": began + HOUR * number / len(rows)}
        for number, row in enumerate(rows, start=1)
    )


def _ingested(rows: Sequence[Row]) -> list[Row]:
    dice = random.Random(SEED)
    return [
        row
        | {"ingested_at": row["received_at"] + timedelta(seconds=dice.lognormvariate(-0.7, 0.5))}
        for row in lake_rows.loaded(rows)
    ]
