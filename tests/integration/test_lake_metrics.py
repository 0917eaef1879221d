"""Tests of the lake's metrics: waiting rows, loaded rows, age of the horizon."""

import time

import psycopg
import pytest
from prometheus_client import REGISTRY

from orchestration_dagster.lake import lake_metrics
from orchestration_dagster.lake.loader import load
from payment_pipeline.settings import Settings
from support.lake_loads import EVENTS, INSERT, insert, rescore

pytestmark = pytest.mark.stack


def value(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(f"payments_lake_{name}", labels)
    assert found is not None, name
    return found


def test_rows_wait_until_they_are_loaded(lake: Settings) -> None:
    insert(lake, "a", 5)
    lake_metrics.sample(lake)
    assert value("waiting_rows", table=EVENTS.name) == 5
    assert value("waiting_age_seconds", table=EVENTS.name) > 0
    before_s = time.time() - 1
    load(lake, EVENTS.name)
    lake_metrics.sample(lake)
    assert value("waiting_rows", table=EVENTS.name) == 0
    assert value("waiting_age_seconds", table=EVENTS.name) == 0
    assert value("rows", table=EVENTS.name) == 5
    assert value("data_files", table=EVENTS.name) >= 1
    assert value("data_bytes", table=EVENTS.name) > 0
    assert value("last_commit_timestamp_seconds", table=EVENTS.name) > before_s


def test_a_row_that_is_scored_again_does_not_wait_since_its_insertion(lake: Settings) -> None:
    insert(lake, "old", 2, at="2026-11-01 12:00+00")
    lake_metrics.sample(lake)
    assert value("waiting_age_seconds", table=EVENTS.name) > 86_400
    load(lake, EVENTS.name)
    rescore(lake, "old1")
    lake_metrics.sample(lake)
    assert value("waiting_rows", table=EVENTS.name) == 1
    assert value("waiting_age_seconds", table=EVENTS.name) == 0
    insert(lake, "new", 1)
    lake_metrics.sample(lake)
    assert 0 < value("waiting_age_seconds", table=EVENTS.name) < 3_600


def test_a_long_transaction_holds_the_horizon_back(lake: Settings) -> None:
    with psycopg.connect(lake.dsn) as writer:
        writer.execute(INSERT, {"prefix": "held", "rows": 1, "at": None})
        writer.execute("SELECT pg_sleep(0.2)")
        lake_metrics.sample(lake)
        assert value("horizon_age_seconds") >= 0.2
        writer.rollback()
