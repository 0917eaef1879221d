"""Tests of the comparison of a whole table with bronze, and of its memory."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from orchestration_dagster.lake import row_versions
from orchestration_dagster.lake.lake_tables import TABLES, LakeTable
from orchestration_dagster.lake.row_versions import RowVersions, narrow
from orchestration_dagster.lake.schema import arrow_schema
from payment_pipeline.bronze.contract import DECISIONS_TABLE, EVENTS_TABLE

EVENTS = narrow(TABLES[EVENTS_TABLE])
DECISIONS = narrow(TABLES[DECISIONS_TABLE])
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
BYTES_A_ROW_MAX = 200
"""Measured peak while sorting: 130 bytes a row. With Python's tuples and numbers it was 470."""


def rows(numbers: range, xid: int = 1, table: LakeTable = EVENTS, zone: str = "UTC") -> pa.Table:
    """Rows with the given ids. The key is derived from the id."""

    def value(field: pa.Field, number: int) -> object:
        if pa.types.is_string(field.type):
            return f"{field.name}_{number:024d}"
        if pa.types.is_timestamp(field.type):
            return FIRST + timedelta(seconds=number)
        return xid if field.name == "ingest_xid" else number

    schema = pa.schema(
        pa.field(each.name, pa.timestamp("us", tz=zone))
        if pa.types.is_timestamp(each.type)
        else each
        for each in arrow_schema(table)
    )
    columns = [pa.array([value(each, n) for n in numbers], each.type) for each in schema]
    return pa.table(columns, schema=schema)


def lake(numbers: range, table: LakeTable = EVENTS) -> Iterator[pa.RecordBatch]:
    for start in range(numbers.start, numbers.stop, 1_000):
        part = range(start, min(start + 1_000, numbers.stop))
        yield from rows(part, table=table).to_batches()


def ids(table: pa.Table) -> list[int]:
    return list(table["id"].to_pylist())


def test_a_row_takes_a_fixed_small_amount_of_memory() -> None:
    count = 50_000
    tracemalloc.start()
    RowVersions(EVENTS, lake(range(count)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most / count < BYTES_A_ROW_MAX


@pytest.mark.parametrize("table", [EVENTS, DECISIONS], ids=lambda table: table.name)
def test_new_rows_and_rows_in_another_version_differ(table: LakeTable) -> None:
    here = RowVersions(table, lake(range(10), table))
    # ADBC's UTC and Iceberg's have different names.
    assert ids(here.differing(rows(range(4), table=table, zone="Etc/UTC"))) == []
    assert ids(here.differing(rows(range(4, 6), xid=2, table=table))) == [4, 5]
    assert ids(here.differing(rows(range(8, 12), table=table))) == [10, 11]
    assert (here.stale, here.unseen) == (2, 2)
    for _ in range(2):  # asked again, it says the same
        assert ids(here.differing(rows(range(4, 6), xid=2, table=table))) == [4, 5]
    assert (here.stale, here.unseen) == (2, 2)


def test_every_row_differs_from_an_empty_lake() -> None:
    here = RowVersions(EVENTS, lake(range(0)))
    assert ids(here.differing(rows(range(3)))) == [0, 1, 2]
    assert (here.stale, here.unseen) == (0, 0)


def test_filters_of_stale_rows_have_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_versions, "ROWS_MAX", 2)
    here = RowVersions(EVENTS, lake(range(10)))
    here.differing(rows(range(5), xid=2))
    assert len(list(here.stale_rows())) == 3
    here.differing(rows(range(5, 10), xid=2))
    assert [str(each) for each in here.stale_rows()] == ["AlwaysTrue()"]
