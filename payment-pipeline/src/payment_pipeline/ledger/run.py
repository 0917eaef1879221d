"""How does an audit get from the stores to an answer?

It waits until the stages are done with what lay on their topics, reads the tables, then the topics
against the data's way, reconciles, and looks up what is missing by name. If events are missing
still, and there is time, it reads on: a workflow may be at work on them.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import asyncpg

from payment_pipeline.adapters import postgres
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from . import client, settling, tables, topics
from .audit import Audit, Reading, reconcile
from .window import Window

LOOK_AGAIN_S: Final = 1.0
WAIT_S_DEFAULT: Final = 60.0


@dataclass(frozen=True)
class Request:
    """What is asked of an audit."""

    window: Window
    open_ended: bool
    """The window ends now."""
    client_ledger: Path | None = None
    wait_s: float = WAIT_S_DEFAULT
    """How long the pipeline may take to settle; 0 audits what is there now."""


@dataclass(frozen=True)
class Report:
    """An audit, and under which circumstances it was made."""

    audit: Audit
    window: Window
    """What was audited: less than was asked for where the topics hold less."""
    settled: bool
    """No stage was behind when it was read."""
    with_client: bool
    client_lines_unread: int
    elapsed_s: float


async def run(settings: Settings, request: Request, progress: topics.Progress) -> Report:
    """Audit the pipeline.

    Raises:
        UserError: a store does not answer, or the client's ledger can't be read.
    """
    began = monotonic()
    reading = Reading()
    async with topics.connected(settings) as kafka:
        window = await kafka.begin(
            request.window, timedelta(milliseconds=settings.kafka_retention_ms)
        )
        unread = 0
        if request.client_ledger:
            unread = client.read(
                request.client_ledger, window, reading, open_ended=request.open_ended
            )
        pool = await postgres.pool(settings, application="payments-audit")
        try:
            deadline = began + request.wait_s
            settled = await settling.settled(kafka, deadline, progress)
            audit = await _look(kafka, pool, window, reading, progress)
            while audit.missing.count and monotonic() < deadline:
                progress(f"waiting: {audit.missing.count:,} events on their way")
                await asyncio.sleep(LOOK_AGAIN_S)
                audit = await _look(kafka, pool, window, reading, progress)
        except asyncpg.UndefinedTableError:
            raise UserError("Bronze has no tables: create them with `payments migrate`.") from None
        finally:
            await pool.close()
    with_client = request.client_ledger is not None
    return Report(audit, window, settled, with_client, unread, monotonic() - began)


async def _look(
    kafka: topics.Topics,
    pool: asyncpg.Pool,
    window: Window,
    reading: Reading,
    progress: topics.Progress,
) -> Audit:
    progress("reading bronze and the quarantine")
    await tables.read(pool, window, reading)
    await kafka.read_on(window, reading, progress)
    progress("reconciling")
    audit = reconcile(reading)
    if not audit.lost:
        return audit
    await tables.look_up(pool, audit.lost, reading)
    return reconcile(reading)
