"""Replaces the customer's id in events that arrive after the customer was erased.

A refund or a dispute of an old payment names the customer again. A row with that id next to the
older rows of the payment would undo the erasure. So the event gets the token of the payment. Its
card hash is removed, because it would link the rows too.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.events import PaymentEvent

from .rows import ScoredEvent

STAND_IN: Final = "erased_"
"""The beginning of a token. The rest is random, so a token identifies nobody."""
OBJECTS: Final = ("payment_id", "object_id", "charge_id", "subscription_id", "invoice_id")
"""The fields that name the payment or the contract of an event."""

_SQL: Final = queries("payment_pipeline.bronze", "queries/erased.sql")


async def with_tokens(pool: asyncpg.Pool, rows: Sequence[ScoredEvent]) -> Sequence[ScoredEvent]:
    """The rows with tokens instead of erased customers; the same rows if nobody was erased.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: as `writer.write`.
    """
    if not await pool.fetchval(_SQL["any_erased"]):
        return rows
    objects = {(row.event.provider, each) for row in rows for each in objects_of(row.event)}
    if not objects:  # every event is about a customer alone
        return rows
    found = await pool.fetch(_SQL["tokens"], *map(list, zip(*sorted(objects), strict=True)))
    tokens = {(provider, object_id): token for provider, object_id, token in found}
    return [_with_token(row, tokens) for row in rows] if tokens else rows


def objects_of(event: PaymentEvent) -> list[str]:
    """The ids of the objects of an event, without the customer's id."""
    ids = (getattr(event, name, None) for name in OBJECTS)
    return [each for each in ids if each is not None and each != event.customer_id]


def _with_token(row: ScoredEvent, tokens: dict[tuple[str, str], str]) -> ScoredEvent:
    event = row.event
    for object_id in objects_of(event):
        token = tokens.get((event.provider, object_id))
        if token is not None:
            return row._replace(event=event.model_copy(update=_changes(event, token)))
    return row


def _changes(event: PaymentEvent, token: str) -> dict[str, Any]:
    changes: dict[str, Any] = {} if event.customer_id is None else {"customer_id": token}
    method = getattr(event, "payment_method", None)
    if method is not None:
        changes["payment_method"] = method.model_copy(update={"card_hash": None})
    return changes
