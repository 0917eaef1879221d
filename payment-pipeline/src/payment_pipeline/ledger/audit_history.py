"""Stores the counts of each audit as a row of bronze, which the lake and a dashboard show.

The row has no names of events. The command's output and Dagster's check have them.
"""

from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias
from uuid import uuid4

import asyncpg
import structlog

from payment_pipeline.adapters import postgres
from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .audit_runner import Report, Request, run
from .audited_topics import Progress
from .distinct_events import Summary
from .stages import Stage

AskedBy: TypeAlias = Literal["schedule", "operator"]
"""Who ran the audit: Dagster's hourly schedule, or a person."""

log = structlog.get_logger()

_SQL: Final = queries(__package__, "queries.sql")
_COUNTED: Final = (
    *(Stage.RAW, Stage.NORMALIZED, Stage.REJECTED, Stage.UNMODELLED),
    *(Stage.BRONZE, Stage.QUARANTINE, Stage.LAKE, Stage.FACTS),
)
"""The stages whose counts are stored, in the order of the columns."""


async def audited(
    settings: Settings, request: Request, progress: Progress, asked_by: AskedBy
) -> Report:
    """Audit the pipeline, and store the counts.

    The report is returned even if bronze can't store the row.

    Raises:
        UserError: as `audit_runner.run`.
    """
    report = await run(settings, request, progress)
    try:
        await _keep(settings, _row(report, asked_by))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, UserError) as refusal:
        log.warning("audit_not_kept", error=type(refusal).__name__)
    return report


async def _keep(settings: Settings, row: tuple[object, ...]) -> None:
    pool = await postgres.pool(settings, application="payments-audit", service="reader")
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["may_write"])
            await connection.execute(_SQL["keep"], *row)
    finally:
        await pool.close()


def _row(report: Report, asked_by: AskedBy) -> tuple[object, ...]:
    audit = report.audit
    counted: list[Summary | None] = [audit.stages.get(stage) for stage in _COUNTED]
    return (
        uuid4().hex,
        datetime.now(UTC),
        asked_by,
        report.window.since,
        report.window.until,
        report.ok,
        report.settled,
        report.attempts is not None,
        *(summary.events if summary else None for summary in counted),
        sum(audit.pending.values()),
        audit.missing.count,
        audit.duplicated.count,
        audit.unexplained.count,
        audit.mismatched.count,
        report.elapsed_s,
    )
