"""Tests that every query of bronze has all its values filled in."""

from collections.abc import Callable, Iterator
from datetime import date

import pytest

from orchestration_dagster.lake.bronze_arrow import Bronze
from orchestration_dagster.lake.lake_tables import TABLES, LakeTable
from orchestration_dagster.lake.watermark import Watermark

MARK = Watermark(xid=7, id=3, highest_id=5)


class AskedError(Exception):
    """Raised instead of an answer. Its text is the query."""


class Asking:
    """A connection whose cursor raises the query that it gets."""

    def cursor(self) -> "Asking":
        return self

    def __enter__(self) -> "Asking":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def execute(self, query: str) -> None:
        raise AskedError(query)


def first(chunks: Iterator[object]) -> object:
    return next(chunks)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize(
    "ask",
    [
        lambda bronze, table: bronze.batch(table, MARK),
        lambda bronze, table: first(bronze.whole(table, MARK)),
        lambda bronze, table: first(bronze.rest(table, MARK)),
        lambda bronze, table: first(bronze.day(table, date(2026, 11, 1), MARK)),
        lambda bronze, table: bronze.in_flux(table, MARK),
        lambda bronze, table: bronze.waiting(table, MARK),
        lambda bronze, table: bronze.any_waiting(table, MARK),
    ],
    ids=["batch", "whole", "rest", "day", "in_flux", "waiting", "any_waiting"],
)
def test_every_query_of_bronze_has_all_its_values(
    table: LakeTable, ask: Callable[[Bronze, LakeTable], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze = Bronze.__new__(Bronze)
    monkeypatch.setattr(bronze, "_connection", Asking(), raising=False)
    with pytest.raises(AskedError) as asked:
        ask(bronze, table)
    query = str(asked.value)
    assert table.name in query
    assert not {"{", "}"} & set(query)
