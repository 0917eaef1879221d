"""Where in the lakehouse's files is a text, and how do the files go that still hold it?

Asked of the files themselves, not of the tables: an older snapshot, a row that is deleted in place
and a file that no snapshot knows any more all hold what a query doesn't show. And not of Trino,
which keeps the text of its queries.
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
"""How long a transaction may hold the lake back before it is named."""
LOAD_AGAIN_S: Final = 1.0
ABANDONED: Final = timedelta(hours=1)
"""A file that no snapshot has known for so long is of a writer that died: longer than any run."""


def find(
    settings: Settings, patterns: Sequence[str], schemas: Iterable[str] = ()
) -> dict[str, int]:
    """How many rows of files one of the patterns is found in, by table; empty where no lake is.

    Args:
        settings: whose catalog is read.
        patterns: what to look for, in every column that holds text or bytes; as RE2 reads them.
        schemas: where to look; all of them if none.

    Raises:
        UserError: the catalog can't be had.
    """
    found = {}
    for table in _tables(open_catalog(settings), schemas):
        if count := sum(_rows_with(table, path, patterns) for path in _files(table)):
            found[".".join(table.name())] = count
    return found


def catch_up(settings: Settings, xid: int) -> None:
    """Load every table until it has what a transaction of bronze did.

    Raises:
        UserError: as `loader.load`; or a transaction has held the horizon back for too long.
    """
    give_up_at = monotonic() + HORIZON_S_MAX
    catalog = open_catalog(settings)
    for table, described in lake_tables.TABLES.items():
        if not catalog.table_exists(described.identifier):
            continue
        while load(settings, table).horizon.xid <= xid:
            if monotonic() > give_up_at:
                raise UserError(
                    f"A transaction of over {HORIZON_S_MAX:.0f} s holds {table} back: end it "
                    "(`payments lake status` shows what waits), then call again.",
                    exit_code=1,
                )
            sleep(LOAD_AGAIN_S)


def forget_history(
    settings: Settings, patterns: Sequence[str], schemas: Iterable[str] = ()
) -> None:
    """Leave every table its current snapshot alone, and no dead writer's file with the patterns.

    A loader may run meanwhile: Trino deletes just the files that only the expired snapshots had.

    Raises:
        UserError: Trino can't be had, or refuses.
    """
    catalog = open_catalog(settings)
    found = [table.name() for table in _tables(catalog, schemas)]
    try:
        table_maintenance.expire_all_history(settings, [(schema, name) for schema, name in found])
    except (NoTrinoError, TrinoError, RequestException) as refusal:
        raise UserError(
            f"Trino can't expire the lake's snapshots ({refusal}): see `payments logs trino`, "
            "then call again: the rest is done.",
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
    """Delete files with the patterns that no snapshot knows, and that nobody works on any more."""
    of_snapshots = {storage_path(address) for address in referenced_files(table)}
    system = file_system(table)
    oldest = datetime.now(UTC) - ABANDONED
    for path in _files(table):
        abandoned = path not in of_snapshots and system.get_file_info(path).mtime < oldest
        if abandoned and _rows_with(table, path, patterns):
            system.delete_file(path)


def _files(table: Table) -> list[str]:
    """Every Parquet file of the table's, whoever knows of it."""
    return [path for path in stored_files(table) if path.endswith(".parquet")]


def _rows_with(table: Table, path: str, patterns: Sequence[str]) -> int:
    """How many rows of a file hold one of the patterns in any column, however deep."""
    count = 0
    try:
        with file_system(table).open_input_file(path) as source:
            for batch in pq.ParquetFile(source).iter_batches():
                count += pc.sum(_matches(batch, patterns)).as_py() or 0
    except FileNotFoundError:  # gone since it was listed
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
