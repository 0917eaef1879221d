"""Compares the lake with bronze: rows, amounts, keys, columns, and rows that wait.

Only rows up to the watermark are compared, so a comparison may run while rows arrive and loads run.
"""

from datetime import UTC, date, datetime, time
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import GreaterThanOrEqual

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .bronze_arrow import Waiting, open_bronze
from .catalog import find_table, open_catalog
from .lake_tables import PARTITION_COLUMN, LakeTable, table_named
from .loader import ID
from .schema import evolution
from .watermark import Watermark

FIRST_DAY: Final = date(1970, 1, 1)
_CURRENCY: Final = "currency"
_AMOUNT: Final = "amount_minor"


class Total(NamedTuple):
    """Rows and amounts of one day and currency."""

    rows: int = 0
    amount_minor: int = 0
    """The hash total: the sum of all amounts of the currency, of any kind, in minor units."""


class Difference(NamedTuple):
    """A day and currency whose rows or amounts differ between bronze and the lake."""

    day: date
    currency: str | None
    bronze: Total
    lake: Total


Totals: TypeAlias = dict[tuple[date, str | None], Total]


def differences(settings: Settings, table: str, since: date = FIRST_DAY) -> list[Difference]:
    """The differences between bronze and the lake, by UTC day of insertion and currency.

    Before the first load there is no difference, since all rows of bronze wait.

    Args:
        settings: name the PostgreSQL and the catalog.
        table: the table's name.
        since: the first day that is compared. Bronze is read from there to its end.

    Raises:
        UserError: PostgreSQL or the catalog doesn't answer.
    """
    known = table_named(table)
    # The watermark and the rows come from one snapshot, so a load in between changes neither.
    lake = find_table(open_catalog(settings), known)
    if lake is None:
        return []
    watermark = Watermark.of(lake.properties)
    with open_bronze(settings) as bronze:
        rows = bronze.totals(known, watermark, _midnight(since), *_money(known))
    in_bronze: Totals = {
        (row["day"], row["currency"]): Total(row["rows"], int(row["amount_minor"])) for row in rows
    }
    in_flux = [row_id for row in rows for row_id in row["in_flux"] or ()]
    scanned = lake.scan(
        row_filter=GreaterThanOrEqual(term=PARTITION_COLUMN, value=_midnight(since).isoformat()),
        selected_fields=(ID, PARTITION_COLUMN, *_money_columns(known)),
        snapshot_id=lake.metadata.current_snapshot_id,
    ).to_arrow()
    settled = scanned.filter(pc.invert(pc.is_in(scanned[ID], pa.array(in_flux, pa.int64()))))
    in_lake = _totals(settled)
    return [
        Difference(*group, in_bronze.get(group, Total()), in_lake.get(group, Total()))
        for group in sorted(in_bronze | in_lake, key=str)
        if in_bronze.get(group, Total()) != in_lake.get(group, Total())
    ]


class Counted(NamedTuple):
    """The number of rows of a table, and of its distinct keys."""

    rows: int
    keys: int


def counted(settings: Settings, table: str) -> Counted:
    """Counts the lake's rows and distinct keys, which must be equal; 0 before the first load."""
    known = table_named(table)
    lake = find_table(open_catalog(settings), known)
    if lake is None:
        return Counted(0, 0)
    keys = lake.scan(selected_fields=known.key).to_arrow()
    return Counted(len(keys), len(keys.group_by(list(known.key)).aggregate([])))


def waiting(settings: Settings, table: str) -> Waiting:
    """The rows of bronze after the lake's watermark; all rows before the first load."""
    known = table_named(table)
    watermark = watermark_of(settings, known)
    with open_bronze(settings) as bronze:
        return bronze.waiting(known, watermark)


def any_waiting(settings: Settings, tables: list[str], held_s_max: float) -> bool:
    """Whether a load is due: for a new row, or to report a horizon that is too old.

    A load can't take a row above the transaction horizon. When such a row waits and the oldest
    transaction is older than `held_s_max` seconds, the load's check warns about the transaction.
    """
    catalog = open_catalog(settings)
    watermarks = [(known := table_named(name), _watermark(catalog, known)) for name in tables]
    with open_bronze(settings) as bronze:
        if any(bronze.any_waiting(known, watermark) for known, watermark in watermarks):
            return True
        if bronze.horizon().age_s <= held_s_max:
            return False
        return any(bronze.waiting(known, watermark).rows for known, watermark in watermarks)


def schema_refusal(settings: Settings, table: str) -> str | None:
    """Why the lake's table doesn't fit the contract, as a sentence; None when it fits."""
    known = table_named(table)
    lake = find_table(open_catalog(settings), known)
    if lake is None:
        return "The table doesn't exist yet. The first load creates it."
    try:
        changes = evolution(lake.schema(), known)
    except UserError as refused:
        return str(refused)
    return f"The next load will change columns: {changes}" if changes else None


def watermark_of(settings: Settings, table: LakeTable) -> Watermark:
    """The watermark of a table; the beginning when the table doesn't exist."""
    return _watermark(open_catalog(settings), table)


def _watermark(catalog: Catalog, table: LakeTable) -> Watermark:
    lake = find_table(catalog, table)
    return Watermark.of(lake.properties) if lake else Watermark()


def _totals(rows: pa.Table) -> Totals:
    days = pc.floor_temporal(rows[PARTITION_COLUMN], unit="day").cast(pa.date32())
    nothing = pa.nulls(len(rows))
    money = _CURRENCY in rows.column_names
    grouped = (
        pa.table(
            {
                "day": days,
                _CURRENCY: rows[_CURRENCY] if money else nothing.cast(pa.string()),
                # Wide enough for any number of 64-bit amounts.
                _AMOUNT: (rows[_AMOUNT] if money else nothing).cast(pa.decimal128(38, 0)),
            }
        )
        .group_by(["day", _CURRENCY])
        .aggregate([([], "count_all"), (_AMOUNT, "sum")])
    )
    return {
        (row["day"], row[_CURRENCY]): Total(row["count_all"], int(row[f"{_AMOUNT}_sum"] or 0))
        for row in grouped.to_pylist()
    }


def _money_columns(table: LakeTable) -> tuple[str, ...]:
    names = {column.name for column in table.columns}
    return (_CURRENCY, _AMOUNT) if {_CURRENCY, _AMOUNT} <= names else ()


def _money(table: LakeTable) -> tuple[str, str]:
    """The SQL of the currency and the amount, also for a table without these columns."""
    return (_CURRENCY, _AMOUNT) if _money_columns(table) else ("NULL::text", "0")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
