"""Stores decisions about payments, and reads the later attempts of a payment."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from payment_pipeline.adapters.sql import queries

SQL: Final = queries("payment_pipeline.bronze", "queries/decisions.sql")


class Decision(NamedTuple):
    """A row of `payment_decisions` without the columns that PostgreSQL fills in.

    `contract.DECISIONS` describes the columns.
    """

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
    """A scored failed attempt."""

    event_id: str
    occurred_at: datetime
    scores: dict[str, Any] | None
    """As in `payment_events.scores`."""


async def record(pool: asyncpg.Pool, made: Iterable[Decision]) -> None:
    """Appends decisions, all or none of them. The same decisions again change nothing.

    A decision about an erased customer is stored with the token instead of the customer's id.

    Raises:
        asyncpg.PostgresError, OSError: PostgreSQL is not available. Repeat the same call.
    """
    await pool.executemany(SQL["record"], made)


async def succeeded(pool: asyncpg.Pool, provider: str, payment_id: str) -> bool:
    """True if bronze has a successful attempt of this payment at any time."""
    return bool(await pool.fetchval(SQL["succeeded"], provider, payment_id))


async def failed_again(pool: asyncpg.Pool, provider: str, event_id: str) -> FailedAttempt | None:
    """The newest failed attempt at the same payment after this event's attempt, if any."""
    row = await pool.fetchrow(SQL["failed_again"], provider, event_id)
    return FailedAttempt(*row) if row else None
