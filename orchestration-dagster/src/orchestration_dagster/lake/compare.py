"""Does the lake hold what bronze holds: each row once, the same amounts, the contract's columns?

Compared is what the watermark says is loaded, so a check may run while rows arrive and are loaded.
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
    """The rows of one day and currency."""

    rows: int = 0
    amount_minor: int = 0
    """The hash total: every amount of the currency, whatever it is about, in its minor unit."""


class Difference(NamedTuple):
    """A day and currency in which bronze and the lake say different things."""

    day: date
    currency: str | None
    bronze: Total
    lake: Total


Totals: TypeAlias = dict[tuple[date, str | None], Total]


def differences(settings: Settings, table: str, since: date = FIRST_DAY) -> list[Difference]:
    """Where the lake's rows or amounts are not bronze's, by UTC day of insertion and currency.

    Args:
        settings: whose PostgreSQL and catalog are used.
        table: its name.
        since: the first day that is compared; bronze is read from there to its end.

    Nothing differs before the first load: all of bronze waits.

    Raises:
        UserError: PostgreSQL or the catalog can't be had.
    """
    known = table_named(table)
    # The watermark and the rows of one snapshot; a load that comes between changes neither.
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
    """How many rows a table has, and how many different keys."""

    rows: int
    keys: int


def counted(settings: Settings, table: str) -> Counted:
    """The lake's rows and their distinct keys: the same number, always; none before a load."""
    known = table_named(table)
    lake = find_table(open_catalog(settings), known)
    if lake is None:
        return Counted(0, 0)
    keys = lake.scan(selected_fields=known.key).to_arrow()
    return Counted(len(keys), len(keys.group_by(list(known.key)).aggregate([])))


def waiting(settings: Settings, table: str) -> Waiting:
    """What bronze has past the lake's watermark; everything, for a table that isn't there yet."""
    known = table_named(table)
    watermark = watermark_of(settings, known)
    with open_bronze(settings) as bronze:
        return bronze.waiting(known, watermark)


def any_waiting(settings: Settings, tables: list[str], held_s_max: float) -> bool:
    """Whether a load has a row of one of the tables to take, or to say that it is held back.

    It is when it lies above a horizon that is older than `held_s_max` seconds.
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
    """Why the lake's table is not as contracted; None when it is."""
    known = table_named(table)
    lake = find_table(open_catalog(settings), known)
    if lake is None:
        return "it is not there yet: the first load makes it"
    try:
        changes = evolution(lake.schema(), known)
    except UserError as refused:
        return str(refused)
    return f"the next load has changes to make: {changes}" if changes else None


def watermark_of(settings: Settings, table: LakeTable) -> Watermark:
    """How far a table is loaded; not at all when it isn't there."""
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
    """The currency and the amount as SQL says them, for a table without them too."""
    return (_CURRENCY, _AMOUNT) if _money_columns(table) else ("NULL::text", "0")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
