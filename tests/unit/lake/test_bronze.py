"""Is every column of the contract read by an expression that PostgreSQL can be given?"""

import pytest

from orchestration_dagster.lake.bronze import _columns
from orchestration_dagster.lake.tables import TABLES, LakeTable


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_each_column_is_read_under_its_name_with_nothing_left_to_fill_in(table: LakeTable) -> None:
    read = _columns(table)
    assert "{" not in read
    for column in table.columns:
        assert f" AS {column.name}" in read
