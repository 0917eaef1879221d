"""Measures how long the comparison of a million listed events with bronze takes.

A thousand listed events are missing in bronze, and a thousand stored ones are not listed. It needs
only PostgreSQL: `make bench ARGS=books`.
"""

import asyncio
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

import psycopg

from bench.figure import Figure
from payment_pipeline.adapters import postgres
from payment_pipeline.books import event_comparison
from payment_pipeline.settings import Settings
from support.databases import migrated_schema

EVENTS: Final = 1_000_000
APART: Final = 1_000
SECONDS_MAX: Final = 60

LISTED: Final = """
INSERT INTO provider_event_inventory
SELECT
    'stripe', 'platform', 'evt_' || n, 'charge.succeeded', false, true,
    now() - '29 days'::interval * n / %(events)s, '2026-06-24.dahlia', 0, 'i'
FROM generate_series(1, %(events)s) AS n
"""
STORED: Final = """
INSERT INTO payment_events (
    provider, event_id, event_type, provider_event_type, kind, occurred_at, received_at, livemode,
    payment_id, attributes, inference_status, body_sha256, source_topic, source_partition,
    source_offset, normalizer_version, workflow_id
)
SELECT
    'stripe', 'evt_' || n, 'charge.succeeded', 'charge.succeeded', 'charge',
    now() - '29 days'::interval * least(n, %(events)s - 10000) / %(events)s, now(), false,
    'pi_' || n, '{}', 'not_applicable', 'b', 't', 0, n, '1', 'w' || n / 1000
FROM generate_series(%(apart)s + 1, %(events)s + %(apart)s) AS n
"""
CURSOR: Final = """
INSERT INTO provider_cursors
SELECT 'stripe', 'platform', false, 'events', NULL, since, now(), since, now(), now()
FROM (SELECT now() - '30 days'::interval AS since)
"""


def books_figures(settings: Settings) -> list[Figure]:
    """Measure one comparison."""
    given = {"events": EVENTS, "apart": APART}
    with migrated_schema(settings) as own:
        with psycopg.connect(own.dsn, autocommit=True) as connection:
            for statement in (LISTED, STORED, CURSOR):
                connection.execute(statement, given)
            connection.execute("VACUUM ANALYZE")
        seconds = asyncio.run(_compared(own))
    return [
        Figure(
            name="books, a million listed events against bronze",
            value=round(seconds, 1),
            unit="s",
            reference="what it may take",
            reference_value=SECONDS_MAX,
            ratio=round(seconds / SECONDS_MAX, 3),
            target=1.0,
            met=seconds <= SECONDS_MAX,
        )
    ]


async def _compared(settings: Settings) -> float:
    pool = await postgres.pool(settings, 1, 1)
    try:
        began = perf_counter()
        found = await event_comparison.compare(pool, "stripe", datetime.now(UTC))
        seconds = perf_counter() - began
    finally:
        await pool.close()
    assert abs(len(found.missing) - APART) <= APART, len(found.missing)
    assert len(found.unlisted) == APART, len(found.unlisted)
    return seconds
