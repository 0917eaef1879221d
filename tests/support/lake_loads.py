"""Helpers of the lake's tests: rows written to bronze, and rows read from Iceberg."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
from pyiceberg.table import Table

from orchestration_dagster.lake import lake_tables
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.lake_tables import TABLES
from payment_pipeline.bronze.contract import EVENTS_TABLE
from payment_pipeline.settings import Settings
from support.databases import migrated_schema

EVENTS: Final = TABLES[EVENTS_TABLE]
# A day that is given lies in the past; the default is what production has, the insertion's time.
INSERT: Final = """
INSERT INTO payment_events (
    provider, event_id, event_type, provider_event_type, kind, occurred_at, received_at,
    ingested_at, livemode, amount_minor, currency, currency_exponent, attributes,
    inference_status, body_sha256, source_topic, source_partition, source_offset,
    normalizer_version, workflow_id
)
SELECT
    'stripe', %(prefix)s || n, 'charge.succeeded', 'charge.succeeded', 'charge', now(), now(),
    coalesce(%(at)s::timestamptz, clock_timestamp()), false, 100 + n,
    CASE n %% 2 WHEN 0 THEN 'EUR' ELSE 'JPY' END, 2, jsonb_build_object('n', n),
    'unavailable', repeat('0', 64), 'webhooks.stripe.charge', 0, n, '1', 'test'
FROM generate_series(1, %(rows)s) AS n
"""
RESCORE: Final = """
UPDATE payment_events
SET inference_status = 'scored', fraud_score = 0.5, ingest_xid = pg_current_xact_id()
WHERE event_id = ANY(%(ids)s)
"""


@contextmanager
def own_namespace(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty namespace for the test, dropped at the end."""
    monkeypatch.setattr(lake_tables, "NAMESPACE", f"test_{uuid4().hex}")
    yield
    catalog = open_catalog(lakehouse)
    if catalog.namespace_exists(lake_tables.NAMESPACE):
        for identifier in catalog.list_tables(lake_tables.NAMESPACE):
            catalog.drop_table(identifier)
        catalog.drop_namespace(lake_tables.NAMESPACE)


@contextmanager
def own_lake(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Empty bronze tables and an empty namespace for the test."""
    with own_namespace(lakehouse, monkeypatch), migrated_schema(lakehouse) as settings:
        yield settings


@contextmanager
def bronze(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection to the test's bronze that commits each statement."""
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        yield connection


def insert(settings: Settings, prefix: str, rows: int, at: str | None = None) -> None:
    """Inserts events `<prefix>1`, `<prefix>2`, … in one transaction, now or at a given time."""
    with bronze(settings) as connection:
        connection.execute(INSERT, {"prefix": prefix, "rows": rows, "at": at})


def rescore(settings: Settings, *event_ids: str) -> None:
    """Scores rows again: they get new values and a new transaction, and keep their id."""
    with bronze(settings) as connection:
        connection.execute(RESCORE, {"ids": list(event_ids)})


def in_bronze(settings: Settings) -> set[str]:
    """The events' ids in bronze."""
    with bronze(settings) as connection:
        return {row[0] for row in connection.execute("SELECT event_id FROM payment_events")}


def table(settings: Settings) -> Table:
    """The current table of events from the catalog."""
    return open_catalog(settings).load_table(EVENTS.identifier)


def rows(settings: Settings) -> pa.Table:
    """All rows of the events in the lake, in the order of event ids."""
    return table(settings).scan().to_arrow().sort_by("event_id")


def in_lake(settings: Settings) -> Counter[str]:
    """The number of rows in the lake by event id."""
    return Counter(rows(settings)["event_id"].to_pylist())


def assert_exact(settings: Settings) -> None:
    """Asserts that the lake holds each event of bronze once, and no other event."""
    held = in_lake(settings)
    assert held == Counter(in_bronze(settings))
