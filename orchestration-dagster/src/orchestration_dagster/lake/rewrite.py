"""How does what the lake holds come to say again what bronze says: a day, all, after a restore?

Each is one commit, so a reader sees the table before or after it and nothing between. None brings a
row past the watermark: what the marts have read by then is all that ever was below it, so a later
load appends nothing that they would pass over. A row of the lake's that was scored again since
stays in its older state until a load brings the newer one.
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
    """What a rewrite did, in rows."""

    deleted: int
    appended: int


def reload_day(settings: Settings, table: str, day: date) -> Rewritten:
    """Load what is new, and write the rows that were inserted on a UTC day anew from bronze.

    It also fills a column that came into the contract after the day was loaded.

    Raises:
        UserError: as `loader.load`; or bronze has fewer rows of the day than the lake.
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
        replaced = _delete(lake, transaction, snapshot, _but(of_day, kept))
        appended = _append(known, transaction, snapshot, bronze.day(known, day, watermark))
        _refuse_to_lose(known, replaced - appended.rows)
        return Outcome(appended.rows, replaced, watermark)

    with open_bronze(settings) as bronze:
        load_table(open_catalog(settings), bronze, known)
    return _rewrite(settings, known, change)


def rebuild(settings: Settings, table: str, *, shrink: bool = False) -> Rewritten:
    """Write the whole table anew from bronze, whichever database that is by now.

    Args:
        settings: whose PostgreSQL and catalog are used.
        table: its name.
        shrink: whether rows of the lake may go that bronze no longer has.

    Raises:
        UserError: as `loader.load`, another database apart; or bronze has fewer rows than the lake.
    """
    known = table_named(table)

    def change(
        bronze: Bronze, lake: Table, transaction: Transaction, snapshot: SnapshotProperties
    ) -> Outcome:
        before, here = Watermark.of(lake.properties), _from_here(bronze.horizon())
        # Another database's ids are not the lake's.
        kept = []
        if before.source == here.source:
            kept = bronze.in_flux(known, here._replace(highest_id=before.highest_id))
        replaced = _delete(lake, transaction, snapshot, _but(AlwaysTrue(), kept))
        appended = _append(known, transaction, snapshot, bronze.whole(known, here))
        if not shrink:
            in_bronze = appended.rows + bronze.waiting(known, here).rows
            _refuse_to_lose(known, replaced + len(kept) - in_bronze)
        highest = max(appended.highest_id, *kept, 0)
        return Outcome(appended.rows, replaced, here._replace(highest_id=highest))

    return _rewrite(settings, known, change)


def reanchor(settings: Settings, table: str) -> Rewritten:
    """Go on from a restored or promoted database: load what differs, and start at its horizon.

    Rows are found by their key. Those that are the same in both stay as they are; of every other
    one bronze's takes the place of the lake's.

    Raises:
        UserError: PostgreSQL or the catalog can't be had; or the lake has rows that bronze has not.
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
        # Of the rest the place in the lake is made free: the next load looks for it by its new id.
        for rows in chain(bronze.whole(compared, here), bronze.rest(compared, here)):
            held.differing(rows)
            highest_id = max(highest_id, pc.max(rows[ID]).as_py())
        _refuse_to_lose(known, held.unseen)
        if held.stale:
            for which in held.stale_rows():
                transaction.delete(which, snapshot_properties=snapshot)
        # Read once more, now whole: nobody could keep so much meanwhile.
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
    """Append chunk by chunk; nothing makes a snapshot too: the commit's check hangs on one."""
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
    """Delete rows; how many there were."""
    rows = lake.scan(row_filter=which).count()
    if rows:
        transaction.delete(which, snapshot_properties=snapshot)
    return rows


def _but(which: BooleanExpression, kept: list[int]) -> BooleanExpression:
    """Those rows without these ids."""
    return And(which, NotIn(term=ID, literals=kept)) if kept else which


def _from_here(horizon: Horizon) -> Watermark:
    """Everything below the horizon is loaded, and nothing above it is."""
    return Watermark(xid=horizon.xid, id=0, source=horizon.source)


def _refuse_to_lose(table: LakeTable, rows: int) -> None:
    """Never shrink the lake to what is left in bronze, unless that is what was asked for.

    Raises:
        UserError: `rows` rows of the lake are in bronze no more.
    """
    if rows > 0:
        raise UserError(
            f"{rows} rows of {table.name} are in the lake and no longer in bronze: send their "
            f"events through the pipeline again, or drop them from the lake with "
            f"`payments lake rebuild {table.name} --shrink`."
        )
