"""Finds a text in the files of the lakehouse, and deletes old files that still hold it.

The search reads the files and not the tables. Older snapshots, deleted rows and files that no
snapshot references hold data that a query doesn't show. The search doesn't use Trino, since Trino
keeps the text of its queries.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table
from requests import RequestException
from trino.exceptions import Error as TrinoError

from payment_pipeline.adapters.trino import NoTrinoError
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from . import lake_tables, table_maintenance
from .catalog import open_catalog
from .data_files import file_system, referenced_files, storage_path, stored_files
from .loader import load

HORIZON_S_MAX: Final = 120.0
"""How long `catch_up` waits for a transaction that holds the horizon back."""
LOAD_AGAIN_S: Final = 1.0
ABANDONED: Final = timedelta(hours=1)
"""A file that no snapshot has referenced for this time belongs to a writer that died.

No run takes that long."""


def find(
    settings: Settings, patterns: Sequence[str], schemas: Iterable[str] = ()
) -> dict[str, int]:
    """Counts the rows in files that match one of the patterns, by table.

    Tables without a match are left out.

    Args:
        settings: name the catalog.
        patterns: RE2 expressions, matched against every column that holds text or bytes.
        schemas: the schemas to search; all schemas if empty.

    Raises:
        UserError: the catalog doesn't answer.
    """
    found = {}
    for table in _tables(open_catalog(settings, "maintenance"), schemas):
        if count := sum(_rows_with(table, path, patterns) for path in _files(table)):
            found[".".join(table.name())] = count
    return found


def catch_up(settings: Settings, xid: int) -> None:
    """Loads every table of the lake until it has the rows of a given bronze transaction.

    Raises:
        UserError: as in `loader.load`; or another transaction holds the horizon back for longer
            than `HORIZON_S_MAX`.
    """
    give_up_at = monotonic() + HORIZON_S_MAX
    catalog = open_catalog(settings)
    for table, described in lake_tables.TABLES.items():
        if not catalog.table_exists(described.identifier):
            continue
        while load(settings, table).horizon.xid <= xid:
            if monotonic() > give_up_at:
                raise UserError(
                    f"A transaction blocks the load of {table} for over {HORIZON_S_MAX:.0f} s. "
                    "End it (`payments lake status` shows what waits), then call again.",
                    exit_code=1,
                )
            sleep(LOAD_AGAIN_S)


def forget_history(
    settings: Settings, patterns: Sequence[str], schemas: Iterable[str] = ()
) -> None:
    """Expires every snapshot but the current one, and deletes orphan files with the patterns.

    A loader may run at the same time: Trino deletes only files that no current snapshot references.

    Raises:
        UserError: Trino doesn't answer, or refuses.
    """
    catalog = open_catalog(settings, "maintenance")
    found = [table.name() for table in _tables(catalog, schemas)]
    try:
        table_maintenance.expire_all_history(settings, [(schema, name) for schema, name in found])
    except (NoTrinoError, TrinoError, RequestException) as refusal:
        raise UserError(
            f"Trino can't expire the lake's snapshots ({refusal}). See `payments logs trino`, then "
            "call again. The steps before this one are done.",
            exit_code=1,
        ) from None
    for table in _tables(catalog, schemas):
        _sweep(table, patterns)


def _tables(catalog: Catalog, schemas: Iterable[str]) -> Iterator[Table]:
    for schema in tuple(schemas) or [each[0] for each in catalog.list_namespaces()]:
        if catalog.namespace_exists(schema):
            for identifier in catalog.list_tables(schema):
                yield catalog.load_table(identifier)


def _sweep(table: Table, patterns: Sequence[str]) -> None:
    """Deletes files with the patterns that no snapshot references and no writer still needs."""
    of_snapshots = {storage_path(address) for address in referenced_files(table)}
    system = file_system(table)
    oldest = datetime.now(UTC) - ABANDONED
    for path in _files(table):
        abandoned = path not in of_snapshots and system.get_file_info(path).mtime < oldest
        if abandoned and _rows_with(table, path, patterns):
            system.delete_file(path)


def _files(table: Table) -> list[str]:
    """Every Parquet file under the table's location, referenced or not."""
    return [path for path in stored_files(table) if path.endswith(".parquet")]


def _rows_with(table: Table, path: str, patterns: Sequence[str]) -> int:
    """The number of rows of a file that match a pattern in any column, nested ones included."""
    count = 0
    try:
        with file_system(table).open_input_file(path) as source:
            for batch in pq.ParquetFile(source).iter_batches():
                count += pc.sum(_matches(batch, patterns)).as_py() or 0
    except FileNotFoundError:  # deleted since it was listed
        return 0
    return count


def _matches(batch: pa.RecordBatch, patterns: Sequence[str]) -> pa.Array:
    found = pa.repeat(pa.scalar(value=False), batch.num_rows)
    for column in batch.columns:
        if pa.types.is_nested(column.type):
            column = pa.array([str(value) for value in column.to_pylist()])  # noqa: PLW2901
        if not _is_text(column.type):
            continue
        for pattern in patterns:
            here = pc.fill_null(pc.match_substring_regex(column, pattern), fill_value=False)
            found = pc.or_(found, here)
    return found


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return any(test(kind) for test in tests)
