"""Runs an audit: waits for the stages, reads the stores, and compares what they hold.

The audit waits until the consumer groups have caught up. It reads the lakehouse, the tables and the
topics, the last stages first, and compares them. It searches the tables for missing events by name.
If events are still missing and time is left, it reads again: a workflow may be at work on them. The
lakehouse is read if it exists, and waited for if the request names it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import asyncpg

from payment_pipeline.adapters import postgres
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from . import audited_lakehouse, audited_tables, audited_topics, client_attempts, settling
from .audit_window import Window
from .audited_lakehouse import Lakehouse, Schemas
from .reconciliation import Audit, reconcile
from .stages import Reading, Stage, up_to

LOOK_AGAIN_S: Final = 1.0
WAIT_S_DEFAULT: Final = 60.0
THROUGH: Final = (Stage.BRONZE, Stage.LAKE, Stage.FACTS)
"""The stages that an audit may end at."""


@dataclass(frozen=True)
class Request:
    """The parameters of an audit."""

    window: Window
    open_ended: bool
    """The window ends now."""
    client_ledger: Path | None = None
    wait_s: float = WAIT_S_DEFAULT
    """How long to wait for the pipeline to catch up; 0 audits what is there now."""
    through: Stage | None = None
    """One of `THROUGH`: the stage must exist, and no event may be pending there. `None`: audit as
    far as stages exist."""
    client_edge: timedelta = client_attempts.EDGE
    """Attempts this close to the ends of the window are left out. Zero if the client and the
    gateway use one clock."""


@dataclass(frozen=True)
class Report:
    """An audit and how it was made."""

    audit: Audit
    window: Window
    """The window that was audited. It is shorter than requested if the topics hold less."""
    settled: bool
    """True if no stage lagged when it was read."""
    attempts: client_attempts.Attempts | None
    """The attempts of the client ledger, if one was given."""
    elapsed_s: float
    absent: dict[Stage, str] = field(default_factory=dict)
    """Why a stage that the request does not name is not audited."""

    @property
    def ok(self) -> bool:
        """True if no fault was found, and the window covers an attempt of the client ledger."""
        return self.audit.ok and not (self.attempts and self.attempts.nothing_judged)


async def run(
    settings: Settings,
    request: Request,
    progress: audited_topics.Progress,
    schemas: Schemas = audited_lakehouse.SCHEMAS,
) -> Report:
    """Audit the pipeline.

    Raises:
        UserError: a store does not answer, or the client ledger can't be read.
    """
    began = monotonic()
    reading = Reading()
    lakehouse, absent = await find_lakehouse(settings, request.through, schemas)
    async with (
        audited_topics.connected(settings) as kafka,
        opened(settings, lakehouse, kafka) as stores,
    ):
        window = await _held(stores, kafka, request.window, settings)
        attempts = None
        if request.client_ledger:
            attempts = client_attempts.read(
                request.client_ledger,
                window,
                reading,
                open_ended=request.open_ended,
                edge=request.client_edge,
            )
        deadline = began + request.wait_s
        settled = await settling.settled(kafka, deadline, progress)
        if lakehouse and request.through:
            goal = await audited_tables.newest(stores.pool)
            settled &= await settling.loaded(lakehouse, goal, deadline, progress)
        excuse = request.through is None
        audit = await look(stores, window, reading, progress, excuse_pending=excuse)
        while audit.missing.count and monotonic() < deadline:
            progress(f"waiting: {audit.missing.count:,} events in progress")
            await asyncio.sleep(LOOK_AGAIN_S)
            audit = await look(stores, window, reading, progress, excuse_pending=excuse)
    return Report(audit, window, settled, attempts, monotonic() - began, absent)


async def _held(
    stores: "Stores", kafka: audited_topics.Topics, wanted: Window, settings: Settings
) -> Window:
    """Return the part of the window that the topics hold. Retention and erasures shorten it."""
    whole_from = await audited_tables.topics_whole_from(stores.pool)
    if whole_from is not None:
        wanted = wanted.after(whole_from)
    return await kafka.begin(wanted, timedelta(milliseconds=settings.kafka_retention_ms))


@dataclass(frozen=True)
class Stores:
    """The stores that an audit reads."""

    pool: asyncpg.Pool
    lakehouse: Lakehouse | None
    kafka: audited_topics.Topics | None
    """`None`: the stages before the tables are not read."""


@asynccontextmanager
async def opened(
    settings: Settings, lakehouse: Lakehouse | None, kafka: audited_topics.Topics | None = None
) -> AsyncIterator[Stores]:
    """Connect to bronze, and close it and the lakehouse at the end.

    Raises:
        UserError: bronze does not answer, or has no tables.
    """
    pool = await postgres.pool(settings, application="payments-audit", service="reader")
    try:
        yield Stores(pool, lakehouse, kafka)
    except asyncpg.UndefinedTableError:
        raise UserError("Bronze has no tables: create them with `payments migrate`.") from None
    finally:
        await pool.close()
        if lakehouse:
            lakehouse.close()


async def find_lakehouse(
    settings: Settings, through: Stage | None, schemas: Schemas
) -> audited_lakehouse.Found:
    """Connect to the stages of the lakehouse that the audit covers.

    Raises:
        UserError: a stage up to `through` does not exist.
    """
    wanted = up_to(through or Stage.FACTS)
    found = await asyncio.to_thread(audited_lakehouse.find, settings, wanted, schemas)
    if through and found.absent:
        why = "; ".join(sorted(set(found.absent.values())))
        raise UserError(
            f"No audit through {through}: {why}. Start it with `payments up --with lakehouse`, "
            "load and build it in Dagster, or audit with `--through bronze`."
        )
    return found


async def look(
    stores: Stores,
    window: Window,
    reading: Reading,
    progress: audited_topics.Progress,
    *,
    excuse_pending: bool,
) -> Audit:
    """Read the stages, the last ones first, and compare them."""
    reached: Mapping[Stage, audited_lakehouse.LoadPosition] = {}
    if stores.lakehouse:
        progress("reading the facts and the lake")
        reached = await asyncio.to_thread(stores.lakehouse.read, window, reading)
    progress("reading bronze and the quarantine")
    await audited_tables.read(stores.pool, window, reading, reached)
    if stores.kafka:
        await stores.kafka.read_on(window, reading, progress)
    progress("reconciling")
    audit = reconcile(reading, excuse_pending=excuse_pending)
    if not audit.lost:
        return audit
    found = await audited_tables.look_up(stores.pool, audit.lost, reading, reached)
    if stores.lakehouse:
        await asyncio.to_thread(stores.lakehouse.look_up, found, reading, reached)
    return reconcile(reading, excuse_pending=excuse_pending)
