"""How do the new rows of a bronze table get into the lake, each exactly once?

    watermark = the table's properties          of the snapshot that the commit will insist on
    batch     = bronze after the watermark      below the transaction horizon, in its order
    commit    = rows and the new watermark      in one Iceberg transaction, or not at all

and again until nothing is left. A loader that dies leaves what the last commit left; a second one,
or one that slept through another's commit, fails its own commit and starts from the new watermark.
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
    """What a load did."""

    rows: int
    """Taken from bronze, those that replaced older ones included."""
    replaced: int
    """Rows that were in the lake already and had been scored again since."""
    commits: int
    horizon: Horizon
    """As the load began."""
    seconds: float


def load(settings: Settings, table: str) -> Loaded:
    """Load what a bronze table has below the horizon; `table` is its name.

    Raises:
        UserError: PostgreSQL or the catalog can't be had, the contract doesn't fit the table, or
            the database is not the one that the table was loaded from.
    """
    known = table_named(table)
    with open_bronze(settings) as bronze:
        return load_table(open_catalog(settings), bronze, known)


def load_table(
    catalog: Catalog, bronze: Bronze, table: LakeTable, rows_max: int = ROWS_MAX
) -> Loaded:
    """The same on clients that are there already, `rows_max` rows a commit at most."""
    began = monotonic()
    first = bronze.horizon()
    with bronze.alone(table):
        lake = open_table(catalog, table)

    def next_batch(
        lake: Table, transaction: Transaction, snapshot: SnapshotProperties
    ) -> Outcome | None:
        watermark = Watermark.of(lake.properties)
        # After the watermark, which another loader may have brought up to a newer horizon.
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
        # What came since is the next load's: a run that chases its writers never ends.
        if outcome.rows < rows_max:
            break
    return Loaded(rows, replaced, commits, first, monotonic() - began)


def refuse_another_database(table: LakeTable, watermark: Watermark, horizon: Horizon) -> None:
    """A watermark means nothing to a database that was restored, promoted or made anew.

    Raises:
        UserError: the table was loaded from another database, or from a later state of this one.
    """
    if watermark.source in {"", horizon.source} and watermark.xid <= horizon.xid:
        return
    raise UserError(
        f"{table.name} in the lake was loaded from PostgreSQL {watermark.source} up to transaction "
        f"{watermark.xid}, and this is {horizon.source} at {horizon.xid}: if it is the restored "
        f"one, `payments lake reanchor {table.name}` compares the two and loads what is missing."
    )


def superseded(lake: Table, batch: pa.Table, watermark: Watermark) -> pa.Array:
    """The ids of a batch that are in the lake already, in an older state.

    A row that was scored later comes again with a new transaction and its old id, so only ids up to
    the highest one in the lake can be there. That is next to none of a batch: they are looked up in
    their days' files, and a batch without any asks nothing.
    """
    known = batch.filter(pc.less_equal(batch[ID], watermark.highest_id))
    if not known:
        return known[ID].combine_chunks()
    there = lake.scan(row_filter=_span(known), selected_fields=(ID,)).to_arrow()[ID]
    return known[ID].filter(pc.is_in(known[ID], value_set=there)).combine_chunks()


def _reached(batch: pa.Table, watermark: Watermark, horizon: Horizon) -> Watermark:
    """The watermark once a batch is in: its last row's place."""
    last = len(batch) - 1
    return Watermark(
        xid=batch["ingest_xid"][last].as_py(),
        id=batch[ID][last].as_py(),
        highest_id=max(watermark.highest_id, pc.max(batch[ID]).as_py()),
        source=horizon.source,
    )


def _rows_of(batch: pa.Table, ids: pa.Array) -> BooleanExpression:
    """The lake's rows with these ids of the batch."""
    return And(
        _span(batch.filter(pc.is_in(batch[ID], value_set=ids))),
        In(term=ID, literals=ids.to_pylist()),
    )


def _span(rows: pa.Table) -> BooleanExpression:
    """The days and the range of ids that these rows lie in: what files are chosen by."""
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
