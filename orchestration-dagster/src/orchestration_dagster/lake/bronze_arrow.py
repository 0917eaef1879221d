"""Reads bronze as Arrow batches through ADBC, up to the transaction horizon.

The transaction horizon is the lowest transaction id that may still be running in PostgreSQL. Rows
below it are final for the loader.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from payment_pipeline.adapters.postgres import unreachable
from payment_pipeline.adapters.sql import queries
from payment_pipeline.settings import Settings

from .lake_tables import LakeTable
from .schema import to_lake
from .watermark import Watermark

ROWS_MAX: Final = 100_000
"""Rows of one batch, about 100 MB in memory. Reading in such chunks is an eighth slower."""

_SQL: Final = queries(__package__, "bronze_arrow.sql")
# A transaction id that this database has not reached comes from a restored dump: it counts as 0,
# so that such rows come before all rows that this database wrote itself.
_XID: Final = """
CASE
    WHEN {0} < (SELECT pg_snapshot_xmax(pg_current_snapshot())) THEN {0}::text::bigint
    ELSE 0
END"""


class Horizon(NamedTuple):
    """The transaction horizon: rows below it can be read without missing a late commit."""

    source: str
    """`<system identifier>/<timeline>` of the database."""
    xid: int
    """The lowest transaction id that may still be running."""
    age_s: float
    """How long the oldest writing transaction has been running, in seconds; 0 without one."""


class Waiting(NamedTuple):
    """The rows of a bronze table that are not in the lake yet."""

    rows: int
    oldest_age_s: float
    """Seconds since the oldest row that is new to the lake was inserted; 0 without one."""


@contextmanager
def open_bronze(settings: Settings) -> Iterator["Bronze"]:
    """Opens a read-only connection to bronze.

    Raises:
        UserError: no database answers at the settings' DSN.
    """
    try:
        connection = adbc.connect(settings.dsn_as("lake"), autocommit=True)
    except adbc.Error as refusal:
        raise unreachable(settings.dsn_as("lake"), type(refusal).__name__) from None
    with connection:
        yield Bronze(connection)


class Bronze:
    """The queries of a load, on one connection to PostgreSQL."""

    def __init__(self, connection: adbc.Connection) -> None:
        self._connection = connection

    def horizon(self) -> Horizon:
        """The current horizon. Later queries see the same one or a later one."""
        (row,) = self._read(_SQL["source"]).to_pylist()
        return Horizon(row["source"], row["horizon_xid"], row["horizon_age_s"])

    def batch(self, table: LakeTable, after: Watermark, rows_max: int = ROWS_MAX) -> pa.Table:
        """The next rows after a watermark, in the order of (ingest_xid, id); may be empty."""
        query = _past("batch", table, after, columns=_columns(table), rows_max=int(rows_max))
        return to_lake(self._read(query), table)

    @contextmanager
    def alone(self, table: LakeTable) -> Iterator[None]:
        """Lets one process at a time into the block, of all processes on this database."""
        with self._transaction():
            self._read(_SQL["alone"].format(table=table.name))
            yield

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Runs all queries of the block on one snapshot of the database."""
        with self._transaction():
            with self._connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def whole(self, table: LakeTable, upto: Watermark) -> Iterator[pa.Table]:
        """All rows up to a watermark, in chunks."""
        return self._stream(_past("whole", table, upto, columns=_columns(table)), table)

    def rest(self, table: LakeTable, after: Watermark) -> Iterator[pa.Table]:
        """All committed rows after a watermark, in chunks, also those above the horizon."""
        return self._stream(_past("rest", table, after, columns=_columns(table)), table)

    def day(self, table: LakeTable, day: date, upto: Watermark) -> Iterator[pa.Table]:
        """All rows up to a watermark that were inserted on a UTC day, in chunks."""
        start, end = (moment.isoformat() for moment in day_bounds(day))
        query = _past("day", table, upto, columns=_columns(table), start=start, end=end)
        return self._stream(query, table)

    def in_flux(self, table: LakeTable, after: Watermark) -> list[int]:
        """Ids of rows after a watermark that the lake may hold already, in an older state."""
        query = _past("in_flux", table, after, highest_id=int(after.highest_id))
        ids: list[int] = self._read(query)["id"].to_pylist()
        return ids

    def waiting(self, table: LakeTable, after: Watermark) -> Waiting:
        """The number of rows after a watermark, also those above the horizon, and their age."""
        query = _past("waiting", table, after, highest_id=int(after.highest_id))
        (row,) = self._read(query).to_pylist()
        return Waiting(row["rows"], row["oldest_age_s"])

    def any_waiting(self, table: LakeTable, after: Watermark) -> bool:
        """Whether a load would find a row. The query reads one index entry."""
        return bool(self._read(_past("any_waiting", table, after)).column(0)[0].as_py())

    def totals(
        self, table: LakeTable, upto: Watermark, since: datetime, currency: str, amount: str
    ) -> list[dict[str, Any]]:
        """Rows, amounts and ids of rows in flux, by day and currency. See the query."""
        query = _past(
            "totals",
            table,
            upto,
            currency=currency,
            amount=amount,
            since=since.isoformat(),
            highest_id=int(upto.highest_id),
        )
        rows: list[dict[str, Any]] = self._read(query).to_pylist()
        return rows

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction, which is always rolled back."""
        self._connection.adbc_connection.set_autocommit(False)
        try:
            yield
        finally:
            self._connection.rollback()
            self._connection.adbc_connection.set_autocommit(True)

    def _read(self, query: str) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def _stream(self, query: str, table: LakeTable) -> Iterator[pa.Table]:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            held: list[pa.RecordBatch] = []
            for part in cursor.fetch_record_batch():
                held.append(part)
                if sum(len(batch) for batch in held) >= ROWS_MAX:
                    yield to_lake(pa.Table.from_batches(held), table)
                    held = []
            if held:
                yield to_lake(pa.Table.from_batches(held), table)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The first moment of a UTC day, and the first moment of the next day."""
    start = datetime.combine(day, time.min, UTC)
    return start, start + timedelta(days=1)


def _columns(table: LakeTable) -> str:
    """The selected columns, in the contract's order.

    `ingest_xid` is read as an integer, since ADBC has no xid8. `body` and `patch` stay out of the
    lake, because more people may read the lake than the raw store, and a patch quotes a signed
    body. The lake's role has no right to read these two columns.
    """
    as_read = {"ingest_xid": _XID.format("ingest_xid"), "body": "''::bytea", "patch": "NULL::jsonb"}
    return ", ".join(f"{as_read.get(one.name, one.name)} AS {one.name}" for one in table.columns)


def _past(name: str, table: LakeTable, mark: Watermark, **values: str | int) -> str:
    return _SQL[name].format(table=table.name, xid=int(mark.xid), id=int(mark.id), **values)
