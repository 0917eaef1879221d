"""Tests that the lake holds every bronze row once when loaders or commits fail."""

from collections.abc import Callable

import psycopg
import pytest
import requests
from pyiceberg.exceptions import (
    CommitStateUnknownException,
    ServiceUnavailableError,
)
from pyiceberg.table import CommitTableResponse

from drills.lake_faults import around_commits, fail_once, load_after_a_rival, orphan_files
from orchestration_dagster.lake import lake_tables, loader, table_maintenance
from orchestration_dagster.lake.bronze_arrow import open_bronze
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.loader import load, load_table
from orchestration_dagster.lake.schema import arrow_schema
from payment_pipeline.settings import Settings
from support.lake_loads import (
    EVENTS,
    INSERT,
    assert_exact,
    bronze,
    insert,
    rescore,
    rows,
    table,
)

pytestmark = pytest.mark.stack


def load_events(settings: Settings) -> loader.Loaded:
    return load(settings, EVENTS.name)


def test_a_load_takes_only_new_rows(lake: Settings) -> None:
    insert(lake, "a", 5)
    assert load_events(lake).rows == 5
    assert load_events(lake).rows == 0
    insert(lake, "b", 3)
    assert load_events(lake).rows == 3
    assert_exact(lake)


def test_rows_keep_every_value(lake: Settings) -> None:
    insert(lake, "a", 2)
    load_events(lake)
    found = rows(lake)
    assert found.schema.names == arrow_schema(EVENTS).names
    with bronze(lake) as connection:
        names = ", ".join(
            f"{name}::text" if name in {"attributes", "scores", "ingest_xid"} else name
            for name in found.schema.names
        )
        stored = connection.execute(f"SELECT {names} FROM payment_events ORDER BY event_id")
        wanted = [dict(zip(found.schema.names, row, strict=True)) for row in stored]
    for row in wanted:
        row["ingest_xid"] = int(row["ingest_xid"])
    assert found.to_pylist() == wanted


def test_each_batch_is_one_commit(lake: Settings) -> None:
    insert(lake, "a", 10)
    with open_bronze(lake) as source:
        loaded = load_table(open_catalog(lake), source, EVENTS, rows_max=4)
    assert (loaded.rows, loaded.commits) == (10, 3)
    assert_exact(lake)


def test_a_row_that_commits_late_is_not_lost(lake: Settings) -> None:
    """The control is a naive watermark, the highest id so far: it misses the row."""
    naive: list[str] = []
    last = 0

    def read_naively() -> None:
        nonlocal last
        with bronze(lake) as connection:
            query = "SELECT event_id, id FROM payment_events WHERE id > %s ORDER BY id"
            for event_id, row_id in connection.execute(query, [last]):
                naive.append(event_id)
                last = row_id

    with psycopg.connect(lake.dsn) as slow:
        slow.execute(INSERT, {"prefix": "slow", "rows": 1, "at": None})
        insert(lake, "quick", 1)
        read_naively()
        held_back = load_events(lake)
    read_naively()
    load_events(lake)

    assert held_back.rows == 0, "the horizon waits for the older transaction"
    assert held_back.horizon.age_s > 0
    assert naive == ["quick1"], "the control lost the row of the slow transaction"
    assert_exact(lake)


def test_a_loader_that_was_overtaken_adds_nothing(lake: Settings) -> None:
    insert(lake, "a", 5)
    load_events(lake)
    insert(lake, "b", 5)
    assert load_after_a_rival(lake) == 0
    assert_exact(lake)
    assert unknown(lake) == []


def unknown(settings: Settings) -> list[str]:
    """Data files that no snapshot references. They may hold personal data."""
    return [path for path in orphan_files(settings) if path.endswith(".parquet")]


@pytest.mark.parametrize(
    "failure",
    [
        CommitStateUnknownException("500"),
        ServiceUnavailableError("503"),
        requests.ConnectionError("reset"),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("landed", [True, False], ids=["landed", "not_landed"])
def test_a_lost_answer_is_looked_up_in_the_table(
    lake: Settings, failure: Exception, landed: bool
) -> None:
    insert(lake, "a", 4)
    load_events(lake)
    insert(lake, "b", 4)
    with around_commits(fail_once(failure, landed=landed)):
        assert load_events(lake).rows == 4
    assert_exact(lake)
    # What was sent and has not landed yet may land as long as the table stays as it was.
    assert len(unknown(lake)) == (0 if landed else 1)


def test_a_committed_attempt_keeps_its_rows_when_its_snapshot_has_expired(lake: Settings) -> None:
    """Before the lost answer is looked up, another loader commits and expires the snapshot."""
    insert(lake, "a", 4)
    load_events(lake)
    insert(lake, "b", 4)
    attempts: list[int] = []

    def overtaken(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        attempts.append(1)
        answer = commit()
        if len(attempts) == 1:
            insert(lake, "c", 4)
            load_events(lake)
            table_maintenance.expire_all_history(lake, [EVENTS.identifier])
            raise requests.ConnectionError("reset")
        return answer

    with around_commits(overtaken):
        assert load_events(lake).rows == 0
    assert len(attempts) == 2
    assert len(rows(lake)) == 12
    assert_exact(lake)


def test_a_competing_commit_costs_one_attempt(lake: Settings) -> None:
    insert(lake, "a", 4)
    load_events(lake)
    insert(lake, "b", 4)
    load_events(lake)
    insert(lake, "c", 4)
    compactions: list[table_maintenance.Maintained] = []

    def after_a_compaction(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if not compactions:
            compactions.append(table_maintenance.maintain(lake, "compact", *EVENTS.identifier))
        return commit()

    with around_commits(after_a_compaction):
        assert load_events(lake).rows == 4
    assert compactions[0].after.files < compactions[0].before.files
    assert_exact(lake)
    assert unknown(lake) == []


def test_a_row_scored_later_replaces_the_older_one(lake: Settings) -> None:
    insert(lake, "a", 6, at="2026-11-01 12:00+00")
    insert(lake, "b", 6)
    load_events(lake)
    rescore(lake, "a2", "b3")
    insert(lake, "c", 2)
    loaded = load_events(lake)
    assert (loaded.rows, loaded.replaced) == (4, 2)
    assert_exact(lake)
    scored = {row["event_id"] for row in rows(lake).to_pylist() if row["fraud_score"] == 0.5}
    assert scored == {"a2", "b3"}


def test_a_row_scored_again_before_its_load_is_loaded_once(lake: Settings) -> None:
    insert(lake, "a", 3)
    rescore(lake, "a1")
    loaded = load_events(lake)
    assert (loaded.rows, loaded.replaced) == (3, 0)
    assert_exact(lake)


def test_a_batch_of_new_rows_reads_nothing_in_the_lake(
    lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(lake, "a", 3)
    load_events(lake)
    insert(lake, "b", 3)
    reads: list[str] = []
    monkeypatch.setattr("pyiceberg.table.Table.scan", lambda *_, **__: reads.append("scan"))
    assert load_events(lake).rows == 3
    assert not reads


def test_the_other_tables_are_loaded_the_same_way(lake: Settings) -> None:
    for name in lake_tables.TABLES:
        assert load(lake, name).rows == 0
        assert open_catalog(lake).table_exists((lake_tables.NAMESPACE, name))


def test_the_table_is_partitioned_by_day(lake: Settings) -> None:
    insert(lake, "a", 2, at="2026-11-01 23:59:59+00")
    insert(lake, "b", 2, at="2026-11-02 00:00:00+00")
    load_events(lake)
    days = table(lake).inspect.partitions()["partition"].to_pylist()
    assert sorted(str(day["ingested_at_day"]) for day in days) == ["2026-11-01", "2026-11-02"]
