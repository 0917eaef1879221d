"""Is every bronze row in the lake exactly once, whatever happens to loaders and commits?"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    ServiceUnavailableError,
)
from pyiceberg.table import CommitTableResponse

import local_stack
from lake_loads import (
    EVENTS,
    INSERT,
    Around,
    assert_exact,
    at_commits,
    bronze,
    in_bronze,
    in_lake,
    insert,
    rescore,
    rows,
    table,
)
from orchestration_dagster.lake import loader, maintenance, tables
from orchestration_dagster.lake.bronze import open_bronze
from orchestration_dagster.lake.catalog import open_catalog, open_table
from orchestration_dagster.lake.loader import load, load_table
from orchestration_dagster.lake.schema import arrow_schema
from orchestration_dagster.lake.watermark import Watermark
from payment_pipeline.settings import Settings

pytestmark = pytest.mark.stack

WRITERS = 8
TRANSACTIONS = 25


def load_events(settings: Settings) -> loader.Loaded:
    return load(settings, EVENTS.name)


def test_loads_what_is_new_and_only_that(lake: Settings) -> None:
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


def test_small_batches_are_commits_of_their_own(lake: Settings) -> None:
    insert(lake, "a", 10)
    with open_bronze(lake) as source:
        loaded = load_table(open_catalog(lake), source, EVENTS, rows_max=4)
    assert (loaded.rows, loaded.commits) == (10, 3)
    assert_exact(lake)


def test_a_row_that_commits_late_is_not_lost(lake: Settings) -> None:
    """The naive watermark, the highest id so far, is the control: it passes the row over."""
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


def test_many_writers_and_two_loaders(lake: Settings) -> None:
    """Drill 8: writers hold their transactions while two loaders and a naive reader go on."""
    naive: set[str] = set()
    done = threading.Event()

    def write(writer: int) -> None:
        dice = random.Random(writer)
        with psycopg.connect(lake.dsn) as connection:
            for number in range(TRANSACTIONS):
                batch = {"prefix": f"{writer}-{number}-", "rows": dice.randint(1, 20), "at": None}
                connection.execute(INSERT, batch)
                time.sleep(dice.random() * 0.05)  # the held transaction is what is tested
                connection.commit()

    def load_until_done() -> None:
        while not done.is_set():
            load_events(lake)

    def read_naively() -> None:
        last = 0
        query = "SELECT event_id, id FROM payment_events WHERE id > %s ORDER BY id"
        with bronze(lake) as connection:
            while not done.is_set():
                for event_id, row_id in connection.execute(query, [last]):
                    naive.add(event_id)
                    last = row_id

    with ThreadPoolExecutor(WRITERS + 3) as threads:
        readers = [threads.submit(load_until_done) for _ in range(2)]
        readers.append(threads.submit(read_naively))
        try:
            for writer in [threads.submit(write, writer) for writer in range(WRITERS)]:
                writer.result()
        finally:
            done.set()
        for reader in readers:
            reader.result()
    load_events(lake)

    assert_exact(lake)
    assert len(naive) < len(in_bronze(lake)), "the control must lose rows, or nothing was tested"


@pytest.mark.parametrize("round_", range(3))
def test_two_first_loaders_make_one_table(lake: Settings, round_: int) -> None:
    """The native catalog makes a table in two steps: of two that are the first, one would fail."""
    insert(lake, f"{round_}-", 5)
    together = threading.Barrier(2)

    def first_load() -> int:
        together.wait()
        return load_events(lake).rows

    with ThreadPoolExecutor(2) as threads:
        loads = [threads.submit(first_load) for _ in range(2)]
        assert sorted(load.result() for load in loads) == [0, 5]
    assert_exact(lake)


@pytest.mark.parametrize("point", ["before", "at", "after"])
def test_a_killed_loader_leaves_nothing_half_done(lake: Settings, point: str) -> None:
    insert(lake, "a", 50)
    load_events(lake)
    insert(lake, "b", 50)
    script = Path(__file__).parents[1] / "lake_crash.py"
    killed = subprocess.run(
        [sys.executable, script, tables.NAMESPACE, point],
        env=os.environ | local_stack.environment(lake) | {"PAYMENTS_POSTGRES_DSN": lake.dsn},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    if point != "at":
        assert len(rows(lake)) == (100 if point == "after" else 50)
    load_events(lake)
    assert_exact(lake)


def test_a_loader_that_slept_through_anothers_commit_adds_nothing(
    lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(lake, "a", 5)
    load_events(lake)
    insert(lake, "b", 5)
    asleep, wake = threading.Event(), threading.Event()
    sleeper: list[int] = []

    def sleeping(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if sleeper == [threading.get_ident()] and not wake.is_set():
            asleep.set()
            wake.wait()
        return commit()

    def zombie() -> loader.Loaded:
        sleeper.append(threading.get_ident())
        return load_events(lake)

    at_commits(monkeypatch, sleeping)
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(zombie)
        try:
            assert asleep.wait(30)
            successor = load_events(lake)
        finally:
            wake.set()
        assert (successor.rows, late.result().rows) == (5, 0)
    assert_exact(lake)


def once(failure: Exception, *, landed: bool) -> Around:
    """A commit that fails the first time: after it landed, or instead."""
    failures = [failure]

    def failing(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if failures:
            if landed:
                commit()
            raise failures.pop()
        return commit()

    return failing


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
    lake: Settings, monkeypatch: pytest.MonkeyPatch, failure: Exception, landed: bool
) -> None:
    insert(lake, "a", 4)
    load_events(lake)
    insert(lake, "b", 4)
    at_commits(monkeypatch, once(failure, landed=landed))
    assert load_events(lake).rows == 4
    assert_exact(lake)


def test_a_rival_commit_costs_an_attempt(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    insert(lake, "a", 4)
    load_events(lake)
    insert(lake, "b", 4)
    load_events(lake)
    insert(lake, "c", 4)
    compactions: list[maintenance.Maintained] = []

    def after_a_compaction(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if not compactions:
            compactions.append(maintenance.maintain(lake, "compact", *EVENTS.identifier))
        return commit()

    at_commits(monkeypatch, after_a_compaction)
    assert load_events(lake).rows == 4
    assert compactions[0].after.files < compactions[0].before.files
    assert_exact(lake)


@pytest.mark.parametrize(("retries", "copies"), [("4", 2), ("0", 1)], ids=["default", "ours"])
def test_pyicebergs_own_retry_would_append_twice(lake: Settings, retries: str, copies: int) -> None:
    """The control: why `commit.retry.num-retries` is 0."""
    insert(lake, "a", 3)
    with open_bronze(lake) as source:
        batch = source.batch(EVENTS, Watermark())
    catalog = open_catalog(lake)
    open_table(catalog, EVENTS)
    with catalog.load_table(EVENTS.identifier).transaction() as transaction:
        transaction.set_properties({"commit.retry.num-retries": retries})
    slow, quick = catalog.load_table(EVENTS.identifier), catalog.load_table(EVENTS.identifier)
    quick.append(batch)
    if copies == 1:
        with pytest.raises(CommitFailedException):
            slow.append(batch)
    else:
        slow.append(batch)
    assert set(in_lake(lake).values()) == {copies}


def test_a_row_scored_later_takes_the_place_of_the_older_one(lake: Settings) -> None:
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


def test_a_row_scored_before_it_was_loaded_comes_once(lake: Settings) -> None:
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
    for name in tables.TABLES:
        assert load(lake, name).rows == 0
        assert open_catalog(lake).table_exists((tables.NAMESPACE, name))


def test_the_table_is_partitioned_by_day(lake: Settings) -> None:
    insert(lake, "a", 2, at="2026-11-01 23:59:59+00")
    insert(lake, "b", 2, at="2026-11-02 00:00:00+00")
    load_events(lake)
    days = table(lake).inspect.partitions()["partition"].to_pylist()
    assert sorted(str(day["ingested_at_day"]) for day in days) == ["2026-11-01", "2026-11-02"]
