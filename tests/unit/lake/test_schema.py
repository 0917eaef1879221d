"""Tests of the lake's schemas, and of changes of the column contract."""

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType, NestedField, StringType

from orchestration_dagster.lake.lake_tables import TABLES, LakeTable
from orchestration_dagster.lake.schema import (
    TYPES,
    arrow_schema,
    evolution,
    iceberg_schema,
    partition_spec,
    to_lake,
)
from orchestration_dagster.lake.watermark import Watermark
from payment_pipeline.bronze.contract import Column
from payment_pipeline.domain.failures import UserError

tables = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
A, B = (Column(name, "integer", nullable=False, comment=f"What {name} is.") for name in "ab")
CURRENT = Schema(
    NestedField(1, "a", IntegerType(), required=True, doc=A.comment),
    NestedField(2, "b", IntegerType(), required=True, doc=B.comment),
)


def of(*columns: Column) -> LakeTable:
    return LakeTable("some", columns, ("a",))


@tables
def test_both_schemas_mirror_the_contract(table: LakeTable) -> None:
    names = [column.name for column in table.columns]
    iceberg = iceberg_schema(table)
    assert arrow_schema(table).names == names == list(iceberg.column_names)
    assert [field.field_id for field in iceberg.fields] == list(range(1, len(names) + 1))
    for column, field, arrow in zip(
        table.columns, iceberg.fields, arrow_schema(table), strict=True
    ):
        assert field.doc == column.comment
        assert field.optional == arrow.nullable == column.nullable
        assert (arrow.type, field.field_type) == TYPES[column.type]


@tables
def test_each_table_has_the_columns_that_the_loader_needs(table: LakeTable) -> None:
    names = {column.name for column in table.columns}
    assert {"ingest_xid", "id", "ingested_at", *table.key} <= names
    (field,) = partition_spec(iceberg_schema(table)).fields
    assert field.name == "ingested_at_day"


def test_the_same_contract_changes_nothing() -> None:
    assert evolution(CURRENT, of(A, B)) is None


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ((A, B, Column("c", "text", nullable=True, comment="New.")), "added"),
        ((A, B._replace(type="bigint")), "widened"),
        ((A, B._replace(nullable=True)), "relaxed"),
        ((A, B._replace(comment="Said better.")), "redocumented"),
    ],
)
def test_changes_without_a_rewrite_are_made(columns: tuple[Column, ...], kind: str) -> None:
    found = evolution(CURRENT, of(*columns))
    assert found is not None
    assert getattr(found, kind) == (columns[-1],)
    assert sum(map(len, found)) == 1


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ((A, B, Column("c", "text", nullable=False, comment="New.")), "c must be nullable"),
        ((A, B._replace(type="text")), "b can't become string from int"),
        ((A,), "b is in the lake and no longer in the contract"),
    ],
)
def test_changes_that_need_a_rewrite_are_refused(columns: tuple[Column, ...], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        evolution(CURRENT, of(*columns))


def test_a_nullable_column_stays_nullable() -> None:
    current = Schema(NestedField(1, "a", StringType(), required=False, doc=A.comment))
    with pytest.raises(UserError, match="a can't become required"):
        evolution(current, of(A._replace(type="text")))


def test_json_becomes_text_and_integers_become_as_wide_as_in_the_lake() -> None:
    json = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"n": 1}', None]))
    given = pa.table({"a": pa.array([1, 2], pa.int16()), "j": json})
    table = of(
        Column("a", "smallint", nullable=False, comment="A."),
        Column("j", "jsonb", nullable=True, comment="J."),
    )
    assert to_lake(given, table).to_pydict() == {"a": [1, 2], "j": ['{"n": 1}', None]}
    assert to_lake(given, table).schema == arrow_schema(table)


def test_a_watermark_reads_what_it_wrote() -> None:
    watermark = Watermark(xid=7, id=5, highest_id=9, source="1/1")
    assert Watermark.of(watermark.to_properties()) == watermark
    assert Watermark.of({}) == Watermark()
