"""May the lake's role do all that the lake asks of bronze? Other tests ask as bronze's owner."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from orchestration_dagster.lake import tables
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.compare import differences, waiting
from orchestration_dagster.lake.loader import load
from orchestration_dagster.lake.rewrite import rebuild
from payment_pipeline.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def empty_lake(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The shared bronze, read as `payments_lake`, and a namespace of the test's own."""
    monkeypatch.setattr(tables, "NAMESPACE", f"test_{uuid4().hex}")
    yield lakehouse
    catalog = open_catalog(lakehouse)
    for identifier in catalog.list_tables(tables.NAMESPACE):
        catalog.drop_table(identifier)
    catalog.drop_namespace(tables.NAMESPACE)


@pytest.mark.parametrize("name", tables.TABLES)
def test_each_table_is_loaded_compared_and_rebuilt(empty_lake: Settings, name: str) -> None:
    assert empty_lake.dsn_as("lake") != empty_lake.dsn
    load(empty_lake, name)
    assert differences(empty_lake, name) == []
    assert waiting(empty_lake, name).rows == 0
    rebuild(empty_lake, name)
    assert differences(empty_lake, name) == []
