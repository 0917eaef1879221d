"""Does nothing go missing? The ledger's verdict as asset checks ask it.

Of the tables alone it may be asked at any time: what the next load brings is no fault. Of the whole
way, from the signed webhook on, it reads the topics too, and waits for what is still on its way.
"""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from payment_pipeline.settings import Settings

from . import audited_lakehouse
from .audit_history import audited
from .audit_json import as_json, verdict
from .audit_runner import WAIT_S_DEFAULT, Report, Request, find_lakehouse, look, opened
from .audit_window import Window
from .audited_lakehouse import Schemas
from .stages import Stage, tables_only


class Verdict(NamedTuple):
    """Whether nothing is missing and nothing there twice."""

    ok: bool
    sentence: str
    """What is wrong, with names; or that nothing is."""
    figures: dict[str, Any]
    """As `payments audit --json`: counts and hash totals by stage, currency and day."""


def ledger_verdict(
    settings: Settings,
    when: date | Window,
    through: Stage | None = None,
    schemas: Schemas = audited_lakehouse.SCHEMAS,
) -> Verdict:
    """Hold bronze and its quarantine against the lake and the facts.

    Args:
        settings: whose PostgreSQL and Trino are asked.
        when: a UTC day of receipts, or a window of them.
        through: `LAKE` or `FACTS`, which must be there then; `None` is as far as there are tables.
        schemas: where the loader and dbt write.

    Raises:
        UserError: a store doesn't answer, or has no such table yet.
    """
    return asyncio.run(_verdict(settings, when, through, schemas))


def whole_verdict(settings: Settings, window: Window, wait_s: float = WAIT_S_DEFAULT) -> Verdict:
    """Hold the raw topics against all that comes behind them, and keep the counts.

    Args:
        settings: whose Kafka, PostgreSQL and, where it is there, Trino are asked.
        window: of receipts; all of them are read from the topics.
        wait_s: how long what is on its way may take.

    Raises:
        UserError: Kafka or PostgreSQL doesn't answer.
    """
    asked = Request(window, open_ended=False, wait_s=wait_s)
    found = asyncio.run(audited(settings, asked, lambda _said: None, "schedule"))
    return Verdict(found.ok, verdict(found), as_json(found))


async def _verdict(
    settings: Settings, when: date | Window, through: Stage | None, schemas: Schemas
) -> Verdict:
    window = when if isinstance(when, Window) else _of_day(when)
    lakehouse, absent = await find_lakehouse(settings, through, schemas)
    async with opened(settings, lakehouse) as stores:
        audit = await look(stores, window, tables_only(), lambda _said: None, excuse_pending=True)
    found = Report(audit, window, True, None, 0.0, absent)
    return Verdict(audit.ok, verdict(found), as_json(found))


def _of_day(day: date) -> Window:
    since = datetime.combine(day, time.min, UTC)
    return Window(since, since + timedelta(days=1))
