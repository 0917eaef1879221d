"""Measures the bronze writer's events per second against a bare insertion of the same rows.

The bare insertion is a COPY and an INSERT … ON CONFLICT of prepared rows into the same table with
the same indexes, over one connection and with one commit per batch. The batches alternate, so other
work on the machine slows both. Needs only PostgreSQL: `make bench ARGS=bronze`.
"""

import asyncio
import gc
from collections.abc import Awaitable
from time import perf_counter
from typing import Final

import asyncpg

from bench.figure import Figure
from payment_pipeline.adapters import postgres
from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze import writer
from payment_pipeline.bronze.rows import COLUMNS, Record, ScoredEvent, to_record
from payment_pipeline.settings import Settings
from support.bronze_events import events, scored
from support.databases import migrated_schema

EVENTS: Final = 30_000
BATCH: Final = 1000
EVENTS_PER_S_MIN: Final = 10_000
"""More than twice the orchestrator's target, because the orchestrator shares the machine."""
SHARE_OF_BARE_MIN: Final = 0.3
IN_PLACE_MIN: Final = 0.7
"""Target for the share of heap-only updates of entity_features, the effect of its fillfactor."""
IN_PLACE: Final = """
SELECT n_tup_hot_upd::float8 / n_tup_upd
FROM pg_stat_user_tables
WHERE relid = 'entity_features'::regclass
"""

QUERIES: Final = queries("payment_pipeline.bronze", "queries/events.sql")


def bronze_figures(settings: Settings) -> list[Figure]:
    """Measure the writer's rate and its share of heap-only updates."""
    with migrated_schema(settings) as own:
        ours, bare, in_place = asyncio.run(_measure(own))
    return [
        Figure(
            name="bronze, one writer with features",
            value=round(ours),
            unit="events/s",
            reference="what it must reach",
            reference_value=EVENTS_PER_S_MIN,
            ratio=round(ours / EVENTS_PER_S_MIN, 2),
            target=1.0,
            met=ours >= EVENTS_PER_S_MIN,
        ),
        Figure(
            name="bronze, share of a bare insertion",
            value=round(ours),
            unit="events/s",
            reference="bare COPY + INSERT … ON CONFLICT of the same rows",
            reference_value=round(bare),
            ratio=round(ours / bare, 2),
            target=SHARE_OF_BARE_MIN,
            met=ours / bare >= SHARE_OF_BARE_MIN,
        ),
        Figure(
            name="bronze, states updated without touching an index",
            value=round(in_place, 2),
            unit="share of updates",
            reference="all of them",
            reference_value=1.0,
            ratio=round(in_place, 2),
            target=IN_PLACE_MIN,
            met=in_place >= IN_PLACE_MIN,
        ),
    ]


async def _measure(settings: Settings) -> tuple[float, float, float]:
    """Return the events per second of both ways, and the share of heap-only updates."""
    rows = [scored(event) for event in events(EVENTS)]
    batches = [rows[start : start + BATCH] for start in range(0, EVENTS, BATCH)]
    records = [_records(batch) for batch in batches]
    pool = await postgres.pool(settings, 1, 1)
    # Keep the garbage collector from scanning the input of the whole run during the writes.
    gc.collect()
    gc.freeze()
    try:
        ours_s = bare_s = 0.0
        for at, batch in enumerate(batches):
            ours_s += await _seconds(_ours(pool, batch, f"ingest/bench/0/{at}"))
            bare_s += await _seconds(_bare(pool, records[at]))
        await pool.execute("SELECT pg_stat_force_next_flush()")
        return EVENTS / ours_s, EVENTS / bare_s, await pool.fetchval(IN_PLACE)
    finally:
        gc.unfreeze()
        await pool.close()


async def _seconds(work: Awaitable[None]) -> float:
    start = perf_counter()
    await work
    return perf_counter() - start


def _records(batch: list[ScoredEvent]) -> list[Record]:
    """Return the same rows with another provider, so that both ways can write to one table."""
    return [("bare", *to_record(row, "ingest/bare")[1:]) for row in batch]


async def _ours(pool: asyncpg.Pool, batch: list[ScoredEvent], workflow_id: str) -> None:
    written = await writer.write(pool, batch, workflow_id)
    assert len(written.inserted) == len(batch)


async def _bare(pool: asyncpg.Pool, batch: list[Record]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(QUERIES["create_incoming"])
        await connection.copy_records_to_table("incoming_events", records=batch, columns=COLUMNS)
        await connection.execute(QUERIES["insert"])
