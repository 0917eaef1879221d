"""Table maintenance by Trino: compaction, snapshot expiry, orphan removal and statistics."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from trino.dbapi import Connection

from payment_pipeline.adapters.sql import queries
from payment_pipeline.adapters.trino import connect, maintenance_catalog
from payment_pipeline.settings import Settings

from .catalog import METADATA_KEPT, open_catalog
from .data_files import stored_files

SMALL_FILE: Final = "64MB"
"""Smaller files are merged. A load each minute writes files of some hundred kilobytes."""
SNAPSHOTS_KEPT: Final = "1d"
"""A table gets a snapshot a minute, and each commit writes a list of all snapshots."""
NO_SNAPSHOTS_KEPT: Final = "0s"
ORPHANS_KEPT: Final = "7d"
"""A file that no snapshot references may belong to a running write. None takes that long."""
OPERATIONS: Final = ("compact", "expire_snapshots", "remove_orphan_files", "analyze")

_SQL: Final = queries(__package__, "table_maintenance.sql")


class TableSize(NamedTuple):
    """A table's size."""

    files: int
    bytes: int
    snapshots: int


class Maintained(NamedTuple):
    """The size of a table before and after one operation, and further counts of the operation."""

    before: TableSize
    after: TableSize
    did: Counter[str]


class Name(NamedTuple):
    """A table's name in Trino."""

    catalog: str
    schema: str
    table: str


def maintain(
    settings: Settings,
    operation: str,
    schema: str,
    table: str,
    orphans_kept: str = ORPHANS_KEPT,
) -> Maintained:
    """Runs one of `OPERATIONS` on a table. No operation changes a row.

    A smaller `orphans_kept` is safe only if nobody writes the table: until a writer commits, its
    files look like orphans.

    Raises:
        NoTrinoError, trino.exceptions.Error: Trino doesn't answer, or refuses the operation.
    """
    with _trino(settings, SNAPSHOTS_KEPT, orphans_kept) as connection:
        name = Name(maintenance_catalog(settings), schema, table)
        before = _size(connection, name)
        did = Counter[str]()
        if operation == "remove_orphan_files":
            did["removed_files"] += _stored(settings, schema, table)
        _do(connection, operation, name, SNAPSHOTS_KEPT, orphans_kept)
        if operation == "remove_orphan_files":
            did["removed_files"] -= _stored(settings, schema, table)
        if operation == "analyze":
            did["analyzed_columns"] += _analyzed(connection, name)
        return Maintained(before, _size(connection, name), did)


def maintain_all(settings: Settings, operation: str, schemas: Sequence[str]) -> Maintained:
    """Runs an operation on every table of some schemas; returns the sums.

    Raises:
        NoTrinoError, trino.exceptions.Error: as `maintain`.
    """
    with _trino(settings, SNAPSHOTS_KEPT) as connection:
        names = ", ".join(f"'{schema}'" for schema in schemas)
        statement = _SQL["tables"].format(catalog=maintenance_catalog(settings), schemas=names)
        found = _rows(connection, statement)
    done = [maintain(settings, operation, schema, table) for schema, table in found]
    did = Counter[str]()
    for each in done:
        did.update(each.did)
    return Maintained(
        _sum([each.before for each in done]), _sum([each.after for each in done]), did
    )


def forget_old_metadata(settings: Settings, schemas: Sequence[str]) -> int:
    """Limits the metadata versions that tables made by Trino keep, as the loader's tables do.

    Trino can't set this property. Without it, each commit leaves a metadata file for ever.

    Returns:
        The number of tables that were changed.
    """
    catalog = open_catalog(settings, "maintenance")
    changed = 0
    for schema in schemas:
        for identifier in catalog.list_tables(schema):
            table = catalog.load_table(identifier)
            if METADATA_KEPT.items() - table.properties.items():
                with table.transaction() as transaction:
                    transaction.set_properties(METADATA_KEPT)
                changed += 1
    return changed


def expire_all_history(settings: Settings, which: Iterable[tuple[str, str]]) -> None:
    """Expires all but the current snapshot of tables, given as schema and name, for an erasure.

    Raises:
        NoTrinoError, trino.exceptions.Error: as `maintain`.
    """
    with _trino(settings, NO_SNAPSHOTS_KEPT) as connection:
        for schema, table in which:
            name = Name(maintenance_catalog(settings), schema, table)
            _do(connection, "expire_snapshots", name, NO_SNAPSHOTS_KEPT)


@contextmanager
def _trino(
    settings: Settings, snapshots_kept: str, orphans_kept: str = ORPHANS_KEPT
) -> Iterator[Connection]:
    """A connection with lower limits for retention than Trino's own minimum of a week."""
    catalog = maintenance_catalog(settings)
    kept = {"catalog": catalog, "snapshots_kept": snapshots_kept, "orphans_kept": orphans_kept}
    with connect(settings, application="orchestration-dagster") as connection:
        _rows(connection, _SQL["allow_snapshots"].format(**kept))
        _rows(connection, _SQL["allow_orphans"].format(**kept))
        yield connection


def _do(
    connection: Connection,
    operation: str,
    name: Name,
    snapshots_kept: str,
    orphans_kept: str = ORPHANS_KEPT,
) -> None:
    statement = _SQL[operation].format(
        table=_quoted(name),
        small_file=SMALL_FILE,
        snapshots_kept=snapshots_kept,
        orphans_kept=orphans_kept,
    )
    _rows(connection, statement)


def _size(connection: Connection, name: Name) -> TableSize:
    statement = _SQL["table_size"].format(
        files=_quoted(name._replace(table=f"{name.table}$files")),
        snapshots=_quoted(name._replace(table=f"{name.table}$snapshots")),
    )
    (row,) = _rows(connection, statement)
    return TableSize(*row)


def _stored(settings: Settings, schema: str, table: str) -> int:
    """The number of stored files. Trino doesn't report how many orphans it removed."""
    return len(stored_files(open_catalog(settings, "maintenance").load_table((schema, table))))


def _analyzed(connection: Connection, name: Name) -> int:
    """The number of columns whose distinct values the planner knows."""
    found = _rows(connection, _SQL["statistics"].format(table=_quoted(name)))
    return sum(distinct is not None for _, _, distinct, *_ in found)


def _sum(sizes: Sequence[TableSize]) -> TableSize:
    return TableSize(*map(sum, zip(*sizes, strict=True))) if sizes else TableSize(0, 0, 0)


def _rows(connection: Connection, statement: str) -> list[Any]:
    cursor = connection.cursor()
    cursor.execute(statement)
    return list(cursor.fetchall())


def _quoted(name: Name) -> str:
    return ".".join(f'"{part}"' for part in name)
