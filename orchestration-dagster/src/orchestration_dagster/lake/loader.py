"""Loads the new rows of a bronze table into the lake, each row exactly once.

The loader repeats these steps until no new row is left:

    watermark = the table's properties          of the snapshot that the commit will require
    batch     = bronze after the watermark      below the transaction horizon, in its order
    commit    = rows and the new watermark      in one Iceberg transaction, or not at all

A loader that dies leaves the state of its last commit. When two loaders run, the commit of the
slower one fails, and it continues from the new watermark.
"""

from time import monotonic
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, BooleanExpression, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.table import Table, Transaction

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .bronze_arrow import ROWS_MAX, Bronze, Horizon, open_bronze
from .catalog import open_catalog, open_table
from .commit import Outcome, SnapshotProperties, settle
from .lake_tables import PARTITION_COLUMN, LakeTable, table_named
from .watermark import Watermark

ID: Final = "id"


class Loaded(NamedTuple):
    """The figures of a load."""

    rows: int
    """Rows taken from bronze, including those that replaced an older state."""
    replaced: int
    """Rows that were in the lake already, and that had been scored again since."""
    commits: int
    horizon: Horizon
    """The transaction horizon at the start of the load."""
    seconds: float


def load(settings: Settings, table: str) -> Loaded:
    """Loads the new rows of a bronze table, given its name, up to the transaction horizon.

    Raises:
        UserError: PostgreSQL or the catalog doesn't answer, the contract doesn't fit the table, or
            the table was loaded from another database.
    """
    known = table_named(table)
    with open_bronze(settings) as bronze:
        return load_table(open_catalog(settings), bronze, known)


def load_table(
    catalog: Catalog, bronze: Bronze, table: LakeTable, rows_max: int = ROWS_MAX
) -> Loaded:
    """Does the same with open clients, with at most `rows_max` rows in a commit."""
    began = monotonic()
    first = bronze.horizon()
    with bronze.alone(table):
        lake = open_table(catalog, table)

    def next_batch(
        lake: Table, transaction: Transaction, snapshot: SnapshotProperties
    ) -> Outcome | None:
        watermark = Watermark.of(lake.properties)
        # Read after the watermark, which another loader may have moved up to a newer horizon.
        horizon = bronze.horizon()
        refuse_another_database(table, watermark, horizon)
        batch = bronze.batch(table, watermark, rows_max)
        if not batch:
            return None
        old = superseded(lake, batch, watermark)
        if old:
            transaction.delete(_rows_of(batch, old), snapshot_properties=snapshot)
        transaction.append(batch, snapshot_properties=snapshot)
        return Outcome(len(batch), len(old), _reached(batch, watermark, horizon))

    rows = replaced = commits = 0
    while outcome := settle(lake, next_batch):
        rows, replaced, commits = rows + outcome.rows, replaced + outcome.replaced, commits + 1
        # Rows that arrived since wait for the next load. Otherwise a load might never end.
        if outcome.rows < rows_max:
            break
    return Loaded(rows, replaced, commits, first, monotonic() - began)


def refuse_another_database(table: LakeTable, watermark: Watermark, horizon: Horizon) -> None:
    """Refuses a watermark of a database that was restored, promoted or created again since.

    Raises:
        UserError: the table was loaded from another database, or from a later state of this one.
    """
    if watermark.source in {"", horizon.source} and watermark.xid <= horizon.xid:
        return
    raise UserError(
        f"{table.name} in the lake was loaded from PostgreSQL {watermark.source} up to transaction "
        f"{watermark.xid}, but this database is {horizon.source} at {horizon.xid}. If it was "
        f"restored, run `payments lake reanchor {table.name}`: it compares both and loads the "
        "missing rows."
    )


def superseded(lake: Table, batch: pa.Table, watermark: Watermark) -> pa.Array:
    """The ids of a batch that are in the lake already, in an older state.

    A row that is scored later gets a new transaction id and keeps its id. So only ids up to the
    highest id in the lake can be there already. A batch has few of them; they are looked up in the
    files of their days. A batch without such ids reads nothing.
    """
    known = batch.filter(pc.less_equal(batch[ID], watermark.highest_id))
    if not known:
        return known[ID].combine_chunks()
    there = lake.scan(row_filter=_span(known), selected_fields=(ID,)).to_arrow()[ID]
    return known[ID].filter(pc.is_in(known[ID], value_set=there)).combine_chunks()


def _reached(batch: pa.Table, watermark: Watermark, horizon: Horizon) -> Watermark:
    """The watermark after a batch: the transaction and id of its last row."""
    last = len(batch) - 1
    return Watermark(
        xid=batch["ingest_xid"][last].as_py(),
        id=batch[ID][last].as_py(),
        highest_id=max(watermark.highest_id, pc.max(batch[ID]).as_py()),
        source=horizon.source,
    )


def _rows_of(batch: pa.Table, ids: pa.Array) -> BooleanExpression:
    """A filter for the lake's rows with the given ids of the batch."""
    return And(
        _span(batch.filter(pc.is_in(batch[ID], value_set=ids))),
        In(term=ID, literals=ids.to_pylist()),
    )


def _span(rows: pa.Table) -> BooleanExpression:
    """A filter for the days and ids between which the rows lie, by which files are chosen."""
    inserted, ids = pc.min_max(rows[PARTITION_COLUMN]).as_py(), pc.min_max(rows[ID]).as_py()
    return And(
        And(
            GreaterThanOrEqual(term=PARTITION_COLUMN, value=inserted["min"].isoformat()),
            LessThanOrEqual(term=PARTITION_COLUMN, value=inserted["max"].isoformat()),
        ),
        And(
            GreaterThanOrEqual(term=ID, value=ids["min"]),
            LessThanOrEqual(term=ID, value=ids["max"]),
        ),
    )
