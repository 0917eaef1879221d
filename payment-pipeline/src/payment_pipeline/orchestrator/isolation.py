"""What if our own code fails on an event? That event is set aside, and the others are written."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from payment_pipeline.bronze import writer
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.bronze.writer import Refused, Written
from payment_pipeline.telemetry import of_event

PASSES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What the store's state causes: waiting mends it, halving doesn't."""

log = structlog.get_logger()


async def write_isolated(
    pool: asyncpg.Pool, rows: Sequence[ScoredEvent], workflow_id: str
) -> Written:
    """As `bronze.writer.write`, which finds what PostgreSQL refuses; here, what we choke on.

    Raises:
        asyncpg.PostgresError, OSError: PostgreSQL can't do it now; try the same call again.
    """
    try:
        return await writer.write(pool, rows, workflow_id)
    except PASSES:
        raise
    except Exception as defect:
        if len(rows) == 1:
            log.exception("event_unwritable", **of_event(rows[0].event))
            return Written([], [], [], [Refused(rows[0], type(defect).__name__)])
    middle = len(rows) // 2
    lower = await write_isolated(pool, rows[:middle], workflow_id)
    upper = await write_isolated(pool, rows[middle:], workflow_id)
    return Written(
        lower.inserted + upper.inserted,
        lower.duplicates + upper.duplicates,
        lower.conflicts + upper.conflicts,
        lower.refused + upper.refused,
    )
