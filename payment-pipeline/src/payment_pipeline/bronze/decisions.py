"""What was decided about a payment after its scores, and what became of the payment since?"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from payment_pipeline.adapters.sql import queries

SQL: Final = queries("payment_pipeline.bronze", "queries/decisions.sql")


class Decision(NamedTuple):
    """A row of `payment_decisions`, without what PostgreSQL fills in; see the comments there."""

    workflow_id: str
    step: int
    kind: str
    provider: str
    payment_id: str
    event_id: str
    customer_id: str | None
    merchant_id: str | None
    outcome: str
    decided_at: datetime
    fraud_score: float | None
    strategy: str | None
    due_at: datetime | None
    attempts_left: int | None
    decided_by: str | None
    note: str | None


class FailedAttempt(NamedTuple):
    """A failed attempt that has been scored."""

    event_id: str
    occurred_at: datetime
    scores: dict[str, Any] | None
    """As in `payment_events.scores`."""


async def record(pool: asyncpg.Pool, made: Iterable[Decision]) -> None:
    """Append decisions, all or none of them; the same ones again change nothing.

    One about somebody who was erased stands under the token, whatever the workflow knows of them.

    Raises:
        asyncpg.PostgresError, OSError: PostgreSQL can't do it now; try the same call again.
    """
    await pool.executemany(SQL["record"], made)


async def succeeded(pool: asyncpg.Pool, provider: str, payment_id: str) -> bool:
    """Whether bronze has a success of this payment, whenever it was."""
    return bool(await pool.fetchval(SQL["succeeded"], provider, payment_id))


async def failed_again(pool: asyncpg.Pool, provider: str, event_id: str) -> FailedAttempt | None:
    """The newest failed attempt at the same payment after the one of this event, if any."""
    row = await pool.fetchrow(SQL["failed_again"], provider, event_id)
    return FailedAttempt(*row) if row else None
