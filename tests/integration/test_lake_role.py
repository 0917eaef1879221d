"""Tests that the role `payments_lake` has every right that the lake needs.

Other tests connect as bronze's owner.
"""

from collections.abc import Iterator

import pytest

from orchestration_dagster.lake import lake_tables
from orchestration_dagster.lake.compare import differences, waiting
from orchestration_dagster.lake.loader import load
from orchestration_dagster.lake.rewrite import rebuild
from payment_pipeline.settings import Settings
from support.lake_loads import own_namespace

pytestmark = pytest.mark.stack


@pytest.fixture
def empty_lake(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The shared bronze, read as `payments_lake`, and a namespace of the test's own."""
    with own_namespace(lakehouse, monkeypatch):
        yield lakehouse


@pytest.mark.parametrize("name", lake_tables.TABLES)
def test_each_table_is_loaded_compared_and_rebuilt(empty_lake: Settings, name: str) -> None:
    assert empty_lake.dsn_as("lake") != empty_lake.dsn
    load(empty_lake, name)
    assert differences(empty_lake, name) == []
    assert waiting(empty_lake, name).rows == 0
    rebuild(empty_lake, name)
    assert differences(empty_lake, name) == []
