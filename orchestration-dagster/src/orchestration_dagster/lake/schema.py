"""The Arrow and Iceberg schemas of lake tables, and their evolution with the column contract.

Both schemas come from `payment_pipeline.bronze.contract`. A new nullable column, a wider integer or
a new comment changes the table's metadata and no data file. A change that would need a rewrite of
old rows, or that would lose a column, is refused.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.update.schema import UpdateSchema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from payment_pipeline.bronze.contract import Column
from payment_pipeline.domain.failures import UserError

from .lake_tables import PARTITION_COLUMN, LakeTable


class LakeType(NamedTuple):
    """The Arrow and Iceberg types of one PostgreSQL type."""

    arrow: pa.DataType
    iceberg: IcebergType


TYPES: Final[Mapping[str, LakeType]] = {
    "text": LakeType(pa.string(), StringType()),
    "timestamptz": LakeType(pa.timestamp("us", tz="UTC"), TimestamptzType()),
    "boolean": LakeType(pa.bool_(), BooleanType()),
    "smallint": LakeType(pa.int32(), IntegerType()),
    "integer": LakeType(pa.int32(), IntegerType()),
    "bigint": LakeType(pa.int64(), LongType()),
    "double precision": LakeType(pa.float64(), DoubleType()),
    "jsonb": LakeType(pa.string(), StringType()),  # Iceberg 2 has no JSON
    "bytea": LakeType(pa.binary(), BinaryType()),
    "xid8": LakeType(pa.int64(), LongType()),
}
_WIDER: Final = {(IntegerType(), LongType())}
"""Type changes of the contract that Iceberg can make without a rewrite."""


def arrow_schema(table: LakeTable) -> pa.Schema:
    """The columns of a batch, in the contract's order."""
    return pa.schema(
        [
            pa.field(column.name, TYPES[column.type].arrow, nullable=column.nullable)
            for column in table.columns
        ]
    )


def iceberg_schema(table: LakeTable) -> Schema:
    """The columns of a new table; field ids count from 1 in the contract's order."""
    return Schema(
        *(
            NestedField(
                field_id=number,
                name=column.name,
                field_type=TYPES[column.type].iceberg,
                required=not column.nullable,
                doc=column.comment,
            )
            for number, column in enumerate(table.columns, start=1)
        )
    )


def partition_spec(schema: Schema) -> PartitionSpec:
    """Partitions by UTC day of insertion, the grain in which tables are reloaded and compared."""
    source = schema.find_field(PARTITION_COLUMN)
    return PartitionSpec(
        PartitionField(
            source_id=source.field_id,
            field_id=1000,
            transform=DayTransform(),
            name=f"{PARTITION_COLUMN}_day",
        )
    )


def to_lake(rows: pa.Table, table: LakeTable) -> pa.Table:
    """Casts rows from ADBC to the lake's types. JSON becomes its text, without a copy."""
    schema = arrow_schema(table)
    columns = []
    for field in schema:
        column = rows.column(field.name)
        if isinstance(column.type, pa.BaseExtensionType):
            storage = column.type.storage_type
            column = pa.chunked_array([part.storage for part in column.chunks], type=storage)
        columns.append(column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


class Evolution(NamedTuple):
    """The metadata changes that make a table's columns fit the contract."""

    added: tuple[Column, ...]
    widened: tuple[Column, ...]
    relaxed: tuple[Column, ...]
    redocumented: tuple[Column, ...]

    def apply(self, update: UpdateSchema) -> None:
        """Adds the changes to a schema update of PyIceberg."""
        for column in self.added:
            update.add_column(column.name, TYPES[column.type].iceberg, doc=column.comment)
        for column in self.widened:
            update.update_column(column.name, field_type=TYPES[column.type].iceberg)
        for column in self.relaxed:
            update.make_column_optional(column.name)
        for column in self.redocumented:
            update.update_column(column.name, doc=column.comment)


def evolution(current: Schema, table: LakeTable) -> Evolution | None:
    """The changes that the contract needs; None when the table fits already.

    Raises:
        UserError: the contract needs a change that metadata alone can't make. It lists the reasons.
    """
    fields = {field.name: field for field in current.fields}
    contract = {column.name: column for column in table.columns}
    refused = [
        f"column {name} is in the lake and no longer in the contract, where it must stay"
        for name in fields.keys() - contract.keys()
    ]
    added, widened, relaxed, redocumented = [], [], [], []
    for column in table.columns:
        field = fields.get(column.name)
        if field is None:
            added.append(column)
            if not column.nullable:
                refused.append(f"new column {column.name} must be nullable: old rows have no value")
            continue
        wanted = TYPES[column.type].iceberg
        if field.field_type != wanted:
            widened.append(column)
            if (field.field_type, wanted) not in _WIDER:
                refused.append(
                    f"column {column.name} can't become {wanted} from {field.field_type}"
                )
        if field.required and column.nullable:
            relaxed.append(column)
        elif column.nullable < field.optional:
            refused.append(f"column {column.name} can't become required: old rows may have nulls")
        if field.doc != column.comment:
            redocumented.append(column)
    if refused:
        reasons = "; ".join(sorted(refused))
        raise UserError(f"The contract of {table.name} doesn't fit its lake table: {reasons}.")
    found = Evolution(tuple(added), tuple(widened), tuple(relaxed), tuple(redocumented))
    return found if any(found) else None
