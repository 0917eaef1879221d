"""A seeded history as if all of it had come in during the last hour; some reviews are still open.

Everything but the hour follows from the seed, and within a run the hour is one.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from payment_pipeline.bronze.contract import (
    AUDITS_TABLE,
    DECISIONS_TABLE,
    EVENTS_TABLE,
    QUARANTINE_TABLE,
)
from support import lake_rows
from support.lake_rows import Row

SEED: Final = 11
EVENTS: Final = 3000
REJECTIONS: Final = 40
UNMODELLED: Final = 7
REVIEWS_OPEN: Final = 5
HOUR: Final = timedelta(hours=1)


@cache
def events() -> tuple[Row, ...]:
    """The events' rows, without what PostgreSQL fills in."""
    return _received(lake_rows.event_rows(SEED, EVENTS))


@cache
def rejections() -> tuple[Row, ...]:
    """The same of dead letters."""
    return _received(lake_rows.rejection_rows(REJECTIONS))


@cache
def decisions() -> tuple[Row, ...]:
    """The same of reviews and recoveries; a few reviews have no answer yet."""
    found = lake_rows.decision_rows(events())
    answers = [row for row in found if row["kind"] == "review" and row["outcome"] != "pending"]
    return tuple(row for row in found if row not in answers[:REVIEWS_OPEN])


@cache
def audits() -> tuple[Row, ...]:
    """The same of what the ledger said at the hour's end."""
    received = len(events()) + len(rejections()) + UNMODELLED
    row = lake_rows.audit_row(received, len(rejections()), UNMODELLED, datetime.now(UTC))
    return (row,)


def tables() -> dict[str, list[Row]]:
    """Table of the lake → its rows, each in bronze about a second after its receipt."""
    return {
        EVENTS_TABLE: _ingested(events()),
        QUARANTINE_TABLE: _ingested(rejections()),
        DECISIONS_TABLE: lake_rows.loaded(decisions()),
        AUDITS_TABLE: lake_rows.loaded(audits()),
    }


def _received(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Evenly over the hour."""
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
