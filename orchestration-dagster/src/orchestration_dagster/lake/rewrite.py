"""Rewrites rows of the lake from bronze: one day, a whole table, or after a restore.

Each rewrite is one commit, so a reader sees the table before it or after it. A rewrite adds no row
after the watermark. The marts read rows in the order of the watermark, so they would never see a
row that a later load adds below it. A row that was scored again after its load keeps its older
state in the lake until the next load.
"""

from collections.abc import Callable, Iterable
from datetime import date
from itertools import chain
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    GreaterThanOrEqual,
    LessThan,
    NotIn,
)
from pyiceberg.table import Table, Transaction

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .bronze_arrow import Bronze, Horizon, day_bounds, open_bronze
from .catalog import open_catalog, open_table
from .commit import Outcome, SnapshotProperties, settle
from .lake_tables import PARTITION_COLUMN, LakeTable, table_named
from .loader import ID, load_table, refuse_another_database
from .row_versions import RowVersions, narrow
from .schema import arrow_schema
from .watermark import Watermark


class Rewritten(NamedTuple):
    """The number of rows that a rewrite deleted and appended."""

    deleted: int
    appended: int


def reload_day(settings: Settings, table: str, day: date) -> Rewritten:
    """Loads new rows, then writes the rows that were inserted on a UTC day again from bronze.

    This also fills a column that was added to the contract after the day was loaded.

    Raises:
        UserError: as in `loader.load`; or bronze has fewer rows of the day than the lake.
    """
    known = table_named(table)
    start, end = day_bounds(day)
    of_day = And(
        GreaterThanOrEqual(term=PARTITION_COLUMN, value=start.isoformat()),
        LessThan(term=PARTITION_COLUMN, value=end.isoformat()),
    )

    def change(
        bronze: Bronze, lake: Table, transaction: Transaction, snapshot: SnapshotProperties
    ) -> Outcome:
        watermark = Watermark.of(lake.properties)
        refuse_another_database(known, watermark, bronze.horizon())
        kept = bronze.in_flux(known, watermark)
        replaced = _delete(lake, transaction, snapshot, _without(of_day, kept))
        appended = _append(known, transaction, snapshot, bronze.day(known, day, watermark))
        _refuse_to_lose(known, replaced - appended.rows)
        return Outcome(appended.rows, replaced, watermark)

    with open_bronze(settings) as bronze:
        load_table(open_catalog(settings), bronze, known)
    return _rewrite(settings, known, change)


def rebuild(settings: Settings, table: str, *, shrink: bool = False) -> Rewritten:
    """Writes the whole table again from bronze, also from another database than before.

    Args:
        settings: name the PostgreSQL and the catalog.
        table: the table's name.
        shrink: allows to delete rows of the lake that bronze no longer has.

    Raises:
        UserError: as in `loader.load`, but another database is accepted; or bronze has fewer rows
            than the lake and `shrink` is false.
    """
    known = table_named(table)

    def change(
        bronze: Bronze, lake: Table, transaction: Transaction, snapshot: SnapshotProperties
    ) -> Outcome:
        before, here = Watermark.of(lake.properties), _from_here(bronze.horizon())
        # Ids of another database mean nothing in the lake.
        kept = []
        if before.source == here.source:
            kept = bronze.in_flux(known, here._replace(highest_id=before.highest_id))
        replaced = _delete(lake, transaction, snapshot, _without(AlwaysTrue(), kept))
        appended = _append(known, transaction, snapshot, bronze.whole(known, here))
        if not shrink:
            in_bronze = appended.rows + bronze.waiting(known, here).rows
            _refuse_to_lose(known, replaced + len(kept) - in_bronze)
        highest = max(appended.highest_id, *kept, 0)
        return Outcome(appended.rows, replaced, here._replace(highest_id=highest))

    return _rewrite(settings, known, change)


def reanchor(settings: Settings, table: str) -> Rewritten:
    """Continues from a restored or promoted database: loads rows that differ, up to its horizon.

    Rows are compared by key. Equal rows stay in the lake; all other rows are replaced by those of
    bronze.

    Raises:
        UserError: PostgreSQL or the catalog doesn't answer; or the lake has rows that bronze lacks.
    """
    known = table_named(table)

    def change(
        bronze: Bronze, lake: Table, transaction: Transaction, snapshot: SnapshotProperties
    ) -> Outcome:
        here = _from_here(bronze.horizon())
        compared = narrow(known)
        columns = tuple(column.name for column in compared.columns)
        held = RowVersions(compared, lake.scan(selected_fields=columns).to_arrow_batch_reader())
        highest_id = 0
        # Stale rows after the horizon are deleted too. The next load looks for rows by their new
        # id, so it would leave such a row in the lake twice.
        for rows in chain(bronze.whole(compared, here), bronze.rest(compared, here)):
            held.differing(rows)
            highest_id = max(highest_id, pc.max(rows[ID]).as_py())
        _refuse_to_lose(known, held.unseen)
        if held.stale:
            for which in held.stale_rows():
                transaction.delete(which, snapshot_properties=snapshot)
        # Bronze is read a second time, now with all columns, which would not fit into memory.
        differing = map(held.differing, bronze.whole(known, here))
        appended = _append(known, transaction, snapshot, differing)
        return Outcome(appended.rows, held.stale, here._replace(highest_id=highest_id))

    return _rewrite(settings, known, change)


def _rewrite(
    settings: Settings,
    table: LakeTable,
    change: Callable[[Bronze, Table, Transaction, SnapshotProperties], Outcome],
) -> Rewritten:
    with open_bronze(settings) as bronze:
        with bronze.alone(table):
            lake = open_table(open_catalog(settings), table)

        def at_one_moment(
            lake: Table, transaction: Transaction, snapshot: SnapshotProperties
        ) -> Outcome:
            with bronze.one_moment():
                return change(bronze, lake, transaction, snapshot)

        outcome = settle(lake, at_one_moment)
    assert outcome is not None  # noqa: S101 - a rewrite always has an outcome
    return Rewritten(outcome.replaced, outcome.rows)


class _Appended(NamedTuple):
    rows: int
    highest_id: int


def _append(
    table: LakeTable,
    transaction: Transaction,
    snapshot: SnapshotProperties,
    chunks: Iterable[pa.Table],
) -> _Appended:
    """Appends chunk by chunk. Without rows it appends an empty table: a commit needs a snapshot."""
    rows = highest_id = 0
    for chunk in filter(len, chunks):
        transaction.append(chunk, snapshot_properties=snapshot)
        rows += len(chunk)
        highest_id = max(highest_id, pc.max(chunk[ID]).as_py())
    if not rows:
        transaction.append(arrow_schema(table).empty_table(), snapshot_properties=snapshot)
    return _Appended(rows, highest_id)


def _delete(
    lake: Table,
    transaction: Transaction,
    snapshot: SnapshotProperties,
    which: BooleanExpression,
) -> int:
    """Deletes rows; returns their number."""
    rows = lake.scan(row_filter=which).count()
    if rows:
        transaction.delete(which, snapshot_properties=snapshot)
    return rows


def _without(which: BooleanExpression, kept: list[int]) -> BooleanExpression:
    """The filter without the rows of the given ids."""
    return And(which, NotIn(term=ID, literals=kept)) if kept else which


def _from_here(horizon: Horizon) -> Watermark:
    """The watermark at which all rows below the horizon are loaded, and no row above it."""
    return Watermark(xid=horizon.xid, id=0, source=horizon.source)


def _refuse_to_lose(table: LakeTable, rows: int) -> None:
    """Refuses a rewrite that would delete rows of the lake that bronze no longer has.

    Raises:
        UserError: `rows`, the number of such rows, is above 0.
    """
    if rows > 0:
        raise UserError(
            f"{rows} rows of {table.name} are in the lake and no longer in bronze. Send their "
            f"events through the pipeline again, or delete them from the lake with "
            f"`payments lake rebuild {table.name} --shrink`."
        )
