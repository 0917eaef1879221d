"""Whose events come after the person was erased? Those about a known object take its token.

A refund or a dispute of an old payment names the customer again, and a row with the name beside the
payment's older rows would undo the erasure. A card goes altogether: it would link them as well.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.events import PaymentEvent

from .rows import ScoredEvent

STAND_IN: Final = "erased_"
"""How a token begins, which says what it is; the rest is random, so it leads to nobody."""
OBJECTS: Final = ("payment_id", "object_id", "charge_id", "subscription_id", "invoice_id")
"""Fields of an event, where it has them, that tell to which payment or contract it belongs."""

_SQL: Final = queries("payment_pipeline.bronze", "queries/erased.sql")


async def under_tokens(pool: asyncpg.Pool, rows: Sequence[ScoredEvent]) -> Sequence[ScoredEvent]:
    """The rows as they may be stored; the same ones as long as nobody was erased.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: as `writer.write`.
    """
    if not await pool.fetchval(_SQL["any_erased"]):
        return rows
    objects = {(row.event.provider, each) for row in rows for each in objects_of(row.event)}
    if not objects:  # of customers alone
        return rows
    found = await pool.fetch(_SQL["tokens"], *map(list, zip(*sorted(objects), strict=True)))
    tokens = {(provider, object_id): token for provider, object_id, token in found}
    return [_under_token(row, tokens) for row in rows] if tokens else rows


def objects_of(event: PaymentEvent) -> list[str]:
    """The ids of what an event is about; not the customer's own."""
    ids = (getattr(event, name, None) for name in OBJECTS)
    return [each for each in ids if each is not None and each != event.customer_id]


def _under_token(row: ScoredEvent, tokens: dict[tuple[str, str], str]) -> ScoredEvent:
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
