"""How many events a second does bronze take, and what of that do exactness and features cost?

The bound is a bare COPY and INSERT … ON CONFLICT of the same rows, made beforehand, into the same
table with the same indexes, one connection and one commit a batch. Runs alternate; medians are
compared. PostgreSQL is all it needs, in a schema of its own:
`payments up --only postgres`, then `python tests/bench/bronze.py`.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from itertools import count
from statistics import median
from time import perf_counter
from typing import Final

import asyncpg

from bench.figure import Figure
from bronze_events import events, scored
from databases import migrated_schema
from payment_pipeline.adapters import postgres
from payment_pipeline.bronze import writer
from payment_pipeline.bronze.rows import COLUMNS, ScoredEvent, to_record
from payment_pipeline.bronze.sql import load as load_queries
from payment_pipeline.settings import Settings, load

EVENTS: Final = 30_000
BATCH: Final = 1000
RUNS: Final = 3
EVENTS_PER_S_MIN: Final = 10_000
"""Over twice what the orchestrator has to reach, since it shares the machine with bronze."""
SHARE_OF_BARE_MIN: Final = 0.3

Batches = list[list[ScoredEvent]]


def bronze_figures(settings: Settings) -> list[Figure]:
    """The writer's rate against the need and against the bare insertion."""
    with migrated_schema(settings) as own:
        ours, bare = asyncio.run(_measure(own))
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
    ]


async def _measure(settings: Settings) -> tuple[float, float]:
    rows = [scored(event) for event in events(EVENTS)]
    batches = [rows[start : start + BATCH] for start in range(0, EVENTS, BATCH)]
    pool = await postgres.pool(settings, 1, 1)
    try:
        rates: dict[Callable[..., Awaitable[float]], list[float]] = {_ours: [], _bare: []}
        for _ in range(RUNS):
            for way, measured in rates.items():
                await pool.execute("TRUNCATE payment_events, entity_features")
                # The input of the whole run lies about: it is no part of what is measured.
                gc.collect()
                gc.freeze()
                measured.append(await way(pool, batches))
                gc.unfreeze()
        return median(rates[_ours]), median(rates[_bare])
    finally:
        await pool.close()


async def _ours(pool: asyncpg.Pool, batches: Batches) -> float:
    offsets = count(step=BATCH)
    start = perf_counter()
    for batch in batches:
        await writer.write(pool, batch, f"ingest/payments.normalized/0/{next(offsets)}")
    return EVENTS / (perf_counter() - start)


async def _bare(pool: asyncpg.Pool, batches: Batches) -> float:
    queries = load_queries("events.sql")
    records = [
        [to_record(row, "ingest/payments.normalized/0/0") for row in rows] for rows in batches
    ]
    start = perf_counter()
    for batch in records:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(queries["create_incoming"])
            await connection.copy_records_to_table(
                "incoming_events", records=batch, columns=COLUMNS
            )
            await connection.execute(queries["insert"])
    return EVENTS / (perf_counter() - start)


if __name__ == "__main__":
    for figure in bronze_figures(load()):
        print(figure)
