"""How does an audit get from the stores to an answer?

It waits until the stages are done with what lay on their topics, reads the tables, then the topics
against the data's way, reconciles, and looks up what is missing by name. If events are missing
still, and there is time, it reads on: a workflow may be at work on them. The lakehouse is read when
it is there, and waited for when it was asked for.
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
"""Where an audit may be told to end."""


@dataclass(frozen=True)
class Request:
    """What is asked of an audit."""

    window: Window
    open_ended: bool
    """The window ends now."""
    client_ledger: Path | None = None
    wait_s: float = WAIT_S_DEFAULT
    """How long the pipeline may take to settle; 0 audits what is there now."""
    through: Stage | None = None
    """One of `THROUGH`: audit up to it, without it there is no answer, and nothing may be pending
    there. `None` is as far as there is something to audit."""
    client_edge: timedelta = client_attempts.EDGE
    """Attempts so near to the window's ends are left out; zero where the client and the gateway
    have one clock."""


@dataclass(frozen=True)
class Report:
    """An audit, and under which circumstances it was made."""

    audit: Audit
    window: Window
    """What was audited: less than was asked for where the topics hold less."""
    settled: bool
    """No stage was behind when it was read."""
    attempts: client_attempts.Attempts | None
    """Of the client's ledger, if one was given."""
    elapsed_s: float
    absent: dict[Stage, str] = field(default_factory=dict)
    """Why a stage that wasn't asked for by name isn't audited."""

    @property
    def ok(self) -> bool:
        """No fault was found, and not because the window left out all that the client did."""
        return self.audit.ok and not (self.attempts and self.attempts.nothing_judged)


async def run(
    settings: Settings,
    request: Request,
    progress: audited_topics.Progress,
    schemas: Schemas = audited_lakehouse.SCHEMAS,
) -> Report:
    """Audit the pipeline.

    Raises:
        UserError: a store does not answer, or the client's ledger can't be read.
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
            progress(f"waiting: {audit.missing.count:,} events on their way")
            await asyncio.sleep(LOOK_AGAIN_S)
            audit = await look(stores, window, reading, progress, excuse_pending=excuse)
    return Report(audit, window, settled, attempts, monotonic() - began, absent)


async def _held(
    stores: "Stores", kafka: audited_topics.Topics, wanted: Window, settings: Settings
) -> Window:
    """As much of the window as the topics hold, which retention and erasures shorten."""
    whole_from = await audited_tables.topics_whole_from(stores.pool)
    if whole_from is not None:
        wanted = wanted.after(whole_from)
    return await kafka.begin(wanted, timedelta(milliseconds=settings.kafka_retention_ms))


@dataclass(frozen=True)
class Stores:
    """What an audit reads."""

    pool: asyncpg.Pool
    lakehouse: Lakehouse | None
    kafka: audited_topics.Topics | None
    """`None` leaves out what comes before the tables."""


@asynccontextmanager
async def opened(
    settings: Settings, lakehouse: Lakehouse | None, kafka: audited_topics.Topics | None = None
) -> AsyncIterator[Stores]:
    """The stores with bronze's connections, and the lakehouse closed at the end.

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
    """The lakehouse as far as it is wanted and there.

    Raises:
        UserError: it isn't there as far as `through`.
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
    """Read what is there now, the last stages first, and hold it against each other."""
    reached: Mapping[Stage, audited_lakehouse.Place] = {}
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
