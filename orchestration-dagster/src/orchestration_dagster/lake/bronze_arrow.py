"""What does the lake read of bronze? Arrow batches below the transaction horizon, by ADBC."""

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
"""Of one batch: about 100 MB in memory. Streaming in such chunks costs an eighth of the rate."""

_SQL: Final = queries(__package__, "bronze_arrow.sql")
# What another database stamped, a dump's, comes before everything that this one has to load.
_XID: Final = """
CASE
    WHEN {0} < (SELECT pg_snapshot_xmax(pg_current_snapshot())) THEN {0}::text::bigint
    ELSE 0
END"""


class Horizon(NamedTuple):
    """Up to where bronze can be read without missing a row that commits later."""

    source: str
    """`<system identifier>/<timeline>` of the database."""
    xid: int
    """Every transaction below it has ended."""
    age_s: float
    """How long the oldest writing transaction has been running; 0 when none is."""


class Waiting(NamedTuple):
    """What a table has past its watermark."""

    rows: int
    oldest_age_s: float
    """Since the oldest of those was inserted that are new to the lake; 0 when none is."""


@contextmanager
def open_bronze(settings: Settings) -> Iterator["Bronze"]:
    """A connection that reads only.

    Raises:
        UserError: there is no database at the settings' DSN.
    """
    try:
        connection = adbc.connect(settings.dsn_as("lake"), autocommit=True)
    except adbc.Error as refusal:
        raise unreachable(settings.dsn_as("lake"), type(refusal).__name__) from None
    with connection:
        yield Bronze(connection)


class Bronze:
    """Reads on one connection: what a load needs of PostgreSQL."""

    def __init__(self, connection: adbc.Connection) -> None:
        self._connection = connection

    def horizon(self) -> Horizon:
        """As of now; the next query's is the same or later."""
        (row,) = self._read(_SQL["source"]).to_pylist()
        return Horizon(row["source"], row["horizon_xid"], row["horizon_age_s"])

    def batch(self, table: LakeTable, after: Watermark, rows_max: int = ROWS_MAX) -> pa.Table:
        """The next rows after a watermark, in (ingest_xid, id) order; empty when there are none."""
        query = _past("batch", table, after, columns=_columns(table), rows_max=int(rows_max))
        return to_lake(self._read(query), table)

    @contextmanager
    def alone(self, table: LakeTable) -> Iterator[None]:
        """One process at a time in this block, of all that use this database."""
        with self._transaction():
            self._read(_SQL["alone"].format(table=table.name))
            yield

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Every query of the block sees the database as the first one did."""
        with self._transaction():
            with self._connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def whole(self, table: LakeTable, upto: Watermark) -> Iterator[pa.Table]:
        """Every row that is loaded by a watermark, in chunks."""
        return self._stream(_past("whole", table, upto, columns=_columns(table)), table)

    def rest(self, table: LakeTable, after: Watermark) -> Iterator[pa.Table]:
        """Every committed row past a watermark, in chunks."""
        return self._stream(_past("rest", table, after, columns=_columns(table)), table)

    def day(self, table: LakeTable, day: date, upto: Watermark) -> Iterator[pa.Table]:
        """The rows of `whole` that were inserted on a UTC day, in chunks."""
        start, end = (moment.isoformat() for moment in day_bounds(day))
        query = _past("day", table, upto, columns=_columns(table), start=start, end=end)
        return self._stream(query, table)

    def in_flux(self, table: LakeTable, after: Watermark) -> list[int]:
        """Ids of rows past a watermark that the lake may hold already, in an older state."""
        query = _past("in_flux", table, after, highest_id=int(after.highest_id))
        ids: list[int] = self._read(query)["id"].to_pylist()
        return ids

    def waiting(self, table: LakeTable, after: Watermark) -> Waiting:
        """How many rows lie past a watermark, those above the horizon too."""
        query = _past("waiting", table, after, highest_id=int(after.highest_id))
        (row,) = self._read(query).to_pylist()
        return Waiting(row["rows"], row["oldest_age_s"])

    def any_waiting(self, table: LakeTable, after: Watermark) -> bool:
        """Whether a load would find a row; one look into an index."""
        return bool(self._read(_past("any_waiting", table, after)).column(0)[0].as_py())

    def totals(
        self, table: LakeTable, upto: Watermark, since: datetime, currency: str, amount: str
    ) -> list[dict[str, Any]]:
        """Rows, amounts and rows in flux by day and currency; see the query."""
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
        """One transaction, which never changes anything."""
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
    """A UTC day's beginning, and the next one's."""
    start = datetime.combine(day, time.min, UTC)
    return start, start + timedelta(days=1)


def _columns(table: LakeTable) -> str:
    """The columns in the contract's order; ADBC knows no xid8, so it comes as an integer.

    Signed bodies stay behind, and so does a patch, which quotes one: the lake is read by many, and
    the raw store by few. The lake's role may not even read them.
    """
    as_read = {"ingest_xid": _XID.format("ingest_xid"), "body": "''::bytea", "patch": "NULL::jsonb"}
    return ", ".join(f"{as_read.get(one.name, one.name)} AS {one.name}" for one in table.columns)


def _past(name: str, table: LakeTable, mark: Watermark, **values: str | int) -> str:
    return _SQL[name].format(table=table.name, xid=int(mark.xid), id=int(mark.id), **values)
