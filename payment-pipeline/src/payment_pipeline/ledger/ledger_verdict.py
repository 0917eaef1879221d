"""The ledger's verdict for Dagster's asset checks.

`ledger_verdict` compares the tables only and may run at any time: rows that the next load brings
are no fault. `whole_verdict` also reads the topics, and waits for events in progress.
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
    """The result of an audit for an asset check."""

    ok: bool
    sentence: str
    """The faults with the names of events, or that there are none."""
    figures: dict[str, Any]
    """The same as `payments audit --json`: counts and totals by stage, currency and day."""


def ledger_verdict(
    settings: Settings,
    when: date | Window,
    through: Stage | None = None,
    schemas: Schemas = audited_lakehouse.SCHEMAS,
) -> Verdict:
    """Compare bronze and its quarantine with the lake and the facts.

    Args:
        settings: the addresses of PostgreSQL and Trino.
        when: a UTC day of receipts, or a window.
        through: `LAKE` or `FACTS`, which must then exist. `None`: as far as tables exist.
        schemas: the schemas that the loader and dbt write to.

    Raises:
        UserError: a store does not answer, or a table does not exist yet.
    """
    return asyncio.run(_verdict(settings, when, through, schemas))


def whole_verdict(settings: Settings, window: Window, wait_s: float = WAIT_S_DEFAULT) -> Verdict:
    """Compare the raw topics with all later stages, and store the counts.

    Args:
        settings: the addresses of Kafka, PostgreSQL and, if it runs, Trino.
        window: the receipt times to read from the topics.
        wait_s: how long events in progress may take, in seconds.

    Raises:
        UserError: Kafka or PostgreSQL does not answer.
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
