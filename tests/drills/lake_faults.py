"""Faults of Iceberg commits, and the checks that the lake drills make afterwards."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeAlias
from unittest.mock import patch

import psycopg
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import TableRequirement, TableUpdate

from drills.findings import Findings
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.data_files import storage_path, stored_files
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.lake.loader import load
from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze.contract import EVENTS_TABLE
from payment_pipeline.settings import Settings

EVENTS: Final = TABLES[EVENTS_TABLE]
SQL: Final = queries("drills", "queries.sql")

SLEEP_S_MAX: Final = 60

Around: TypeAlias = Callable[[Callable[[], CommitTableResponse]], CommitTableResponse]
"""Runs instead of each commit. It receives the real commit and may call it."""


@contextmanager
def around_commits(around: Around) -> Iterator[None]:
    """Call `around` instead of each commit that this process sends to the catalog."""
    commit = RestCatalog.commit_table

    def intercepted(
        catalog: RestCatalog,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        return around(lambda: commit(catalog, table, requirements, updates))

    with patch.object(RestCatalog, "commit_table", intercepted):
        yield


def fail_once(failure: Exception, *, landed: bool) -> Around:
    """Make the first commit fail: after it reached the catalog if `landed`, else before."""
    failures = [failure]

    def failing(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if failures:
            if landed:
                commit()
            raise failures.pop()
        return commit()

    return failing


def load_after_a_rival(settings: Settings) -> int:
    """Load events with a loader that sleeps while a second loader commits the same rows.

    Returns:
        The number of rows that the first loader adds after it wakes. It must be 0.
    """
    asleep, wake = threading.Event(), threading.Event()
    sleeper: list[int] = []

    def sleeping(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if sleeper == [threading.get_ident()] and not wake.is_set():
            asleep.set()
            wake.wait(SLEEP_S_MAX)
        return commit()

    def zombie() -> int:
        sleeper.append(threading.get_ident())
        return load(settings, EVENTS.name).rows

    with around_commits(sleeping), ThreadPoolExecutor(1) as threads:
        late = threads.submit(zombie)
        try:
            asleep.wait(SLEEP_S_MAX)
            load(settings, EVENTS.name)
        finally:
            wake.set()
        return late.result()


def insert_events(connection: psycopg.Connection, prefix: str, rows: int) -> None:
    """Insert the events `<prefix>1`, `<prefix>2`, … in the transaction of the connection."""
    connection.execute(SQL["insert_events"], {"prefix": prefix, "rows": rows})


def compare_with_bronze(settings: Settings, findings: Findings) -> None:
    """Count the events of bronze that the lake lacks or has more than once."""
    with psycopg.connect(settings.dsn) as connection:
        bronze = {row[0] for row in connection.execute("SELECT event_id FROM payment_events")}
    table = open_catalog(settings).load_table(EVENTS.identifier)
    held = Counter(table.scan(selected_fields=("event_id",)).to_arrow()["event_id"].to_pylist())
    findings.acknowledged = len(bronze)
    findings.lost = len(bronze - held.keys())
    findings.duplicated = sum(count > 1 for count in held.values())
    findings.require(not held.keys() - bronze, "the lake has rows that bronze lacks")


def orphan_files(settings: Settings) -> set[str]:
    """Find stored data files, manifests and manifest lists that no snapshot of the table names."""
    table = open_catalog(settings).load_table(EVENTS.identifier)
    known = {snapshot.manifest_list for snapshot in table.metadata.snapshots}
    known |= set(table.inspect.all_manifests()["path"].to_pylist())
    known |= set(table.inspect.all_files()["file_path"].to_pylist())
    files = {path for path in stored_files(table) if path.endswith((".parquet", ".avro"))}
    return files - {storage_path(address) for address in known}
