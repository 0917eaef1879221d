"""What do the lake's drills write to bronze and find in Iceberg, and how do commits fail?"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias
from unittest.mock import patch

import psycopg
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import TableRequirement, TableUpdate

from local_stack.drills.findings import Findings
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.tables import TABLES
from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze.contract import EVENTS_TABLE
from payment_pipeline.settings import Settings

EVENTS: Final = TABLES[EVENTS_TABLE]
SQL: Final = queries("local_stack.drills", "queries.sql")

Around: TypeAlias = Callable[[Callable[[], CommitTableResponse]], CommitTableResponse]
"""What is done at each commit: given the commit itself, to be called or not."""


@contextmanager
def at_commits(around: Around) -> Iterator[None]:
    """Put something around every commit that this process sends to the catalog."""
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


def insert(connection: psycopg.Connection, prefix: str, rows: int) -> None:
    """Events `<prefix>1` …, in the connection's transaction."""
    connection.execute(SQL["insert_events"], {"prefix": prefix, "rows": rows})


def compare(settings: Settings, found: Findings) -> None:
    """Count what bronze has and the lake has not, or not once."""
    with psycopg.connect(settings.dsn) as connection:
        bronze = {row[0] for row in connection.execute("SELECT event_id FROM payment_events")}
    table = open_catalog(settings).load_table(EVENTS.identifier)
    held = Counter(table.scan(selected_fields=("event_id",)).to_arrow()["event_id"].to_pylist())
    found.acknowledged = len(bronze)
    found.lost = len(bronze - held.keys())
    found.duplicated = sum(count > 1 for count in held.values())
    found.require(not held.keys() - bronze, "the lake has rows that bronze has not")
