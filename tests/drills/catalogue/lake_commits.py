"""Drill 9: loaders that crash, sleep, or get errors and conflicts at the Iceberg commit."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final

import psycopg
import pyarrow as pa
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    ServiceUnavailableError,
)
from pyiceberg.table import CommitTableResponse, Table

from drills import crashing_loader
from drills.drill import Drill, DrillContext
from drills.findings import Findings
from drills.lake_faults import (
    EVENTS,
    Around,
    around_commits,
    compare_with_bronze,
    fail_once,
    insert_events,
    load_after_a_rival,
    orphan_files,
)
from local_stack import supervisor
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.loader import load
from orchestration_dagster.lake.table_maintenance import maintain
from payment_operations import stack_start
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support.repository import importing_tests

CRASHES_A_ROUND: Final = len(crashing_loader.POINTS)
CRASHES_PER_LINE: Final = 20
"""Number of crashes between two lines of progress."""
ROWS: Final = 50
CRASH_S_MAX: Final = 120
STORE: Final = "seaweedfs"
STORE_BACK_S_MAX: Final = 120.0
INJECTED: Final = {
    "409": CommitFailedException("409"),
    "500": CommitStateUnknownException("500"),
    "503": ServiceUnavailableError("503"),
    "504": CommitStateUnknownException("504"),
}


def run(context: DrillContext) -> Findings:
    """Cause each failure with new rows in bronze, then require each row once in the lake."""
    findings = Findings()
    settings = context.settings
    load(settings, EVENTS.name)
    crashes = CRASHES_A_ROUND * context.rounds
    points: list[str] = []
    store_deaths, store = 0, _store_pid(settings)
    for number in range(1, crashes + 1):
        _more(context, f"crash-{number}")
        if not points:  # each point equally often, in random order
            points = context.rng.sample(crashing_loader.POINTS, len(crashing_loader.POINTS))
        _crash(settings, points.pop())
        findings.outages_s.append(_repair(settings))
        store_deaths += (now := _store_pid(settings)) != store
        store = now
        if number % CRASHES_PER_LINE == 0:
            context.progress(f"{number} of {crashes} crashes repaired")
    for name, failure in INJECTED.items():
        for landed in (True, False):
            _more(context, f"{name}-{landed}")
            # A 409 means that the commit did not land.
            with around_commits(fail_once(failure, landed=landed and name != "409")):
                load(settings, EVENTS.name)
    _more(context, "slept")
    slept = load_after_a_rival(settings)
    findings.require(
        slept == 0, f"a loader that slept during another loader's commit added {slept} rows"
    )
    _more(context, "rival")
    with around_commits(_after_a_rewrite(settings)):
        load(settings, EVENTS.name)
    findings.figures = {
        "loader_crashes": crashes,
        "store_deaths": store_deaths,
        "injected": 2 * len(INJECTED),
    }
    _clean(settings, findings)
    compare_with_bronze(settings, findings)
    findings.control_failed = _control(context)
    return findings


def _clean(settings: Settings, findings: Findings) -> None:
    """Require that table maintenance deletes the files of crashed loaders.

    These files hold no visible rows. In production, maintenance deletes them after one week; here
    it deletes them at once.
    """
    left = orphan_files(settings)
    findings.require(bool(left), "no failed commit left a file, so the cleaning proves nothing")
    stack_start.up(settings, only=("trino",))
    maintain(settings, "remove_orphan_files", *EVENTS.identifier, orphans_kept="0s")
    still = orphan_files(settings)
    findings.require(not still, f"{len(still)} of {len(left)} orphan files are left")
    findings.figures |= {"orphan_files": len(left), "orphan_files_left": len(still)}


def _more(context: DrillContext, what: str) -> None:
    with psycopg.connect(context.settings.dsn) as connection:
        insert_events(connection, f"{context.seed}-{what}-", ROWS)


def _crash(settings: Settings, point: str) -> None:
    """Run a loader that dies at the given point."""
    died = subprocess.run(
        [sys.executable, "-m", crashing_loader.__name__, point],
        env={**os.environ, **supervisor.environment(settings), **importing_tests()},
        check=False,
        capture_output=True,
        timeout=CRASH_S_MAX,
    )
    if died.returncode != -signal.SIGKILL:
        raise RuntimeError(f"The loader did not die. Its log: {died.stderr.decode()[-1000:]}")


def _repair(settings: Settings) -> float:
    """Load again after the crash of a loader, and return the seconds until that succeeded.

    The crash may also have killed the store: SeaweedFS 4 panics once in some hundreds of uploads
    that are cut off. The supervisor then restarts the store before the next load, as for Dagster's
    next attempt.
    """
    began = monotonic()
    while True:
        try:
            load(settings, EVENTS.name)
        except UserError:
            if monotonic() - began > STORE_BACK_S_MAX:
                raise
            stack_start.up(settings, only=(STORE,))
        else:
            return monotonic() - began


def _store_pid(settings: Settings) -> int:
    return int(supervisor.states(settings)[STORE]["pid"])


def _after_a_rewrite(settings: Settings) -> Around:
    """Rewrite the whole table just before the first commit, as a compaction does."""
    rivals = [settings]

    def rewritten(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if rivals:
            table = open_catalog(rivals.pop()).load_table(EVENTS.identifier)
            table.overwrite(table.scan().to_arrow())
        return commit()

    return rewritten


def _control(context: DrillContext) -> bool:
    """Use PyIceberg's default retry, which commits a stale batch again: the row must be twice."""
    catalog = open_catalog(context.settings)
    schema = pa.schema([pa.field("event_id", pa.string())])
    name = f"{EVENTS.identifier[0]}.control_{context.seed}"
    table = catalog.create_table(name, schema, properties={"commit.retry.num-retries": "4"})
    batch = pa.table({"event_id": ["evt_1"]}, schema=schema)
    slow, quick = (catalog.load_table(name) for _ in range(2))
    quick.append(batch)
    slow.append(batch)
    copies = _copies(table.refresh())
    catalog.drop_table(name)
    context.progress(f"control, PyIceberg's own retry: the table has a stale batch {copies} times")
    return copies > 1


def _copies(table: Table) -> int:
    return max(Counter(table.scan().to_arrow()["event_id"].to_pylist()).values())


DRILL = Drill(
    number=9,
    promise="Crashes, sleep, lost answers and rival commits leave each row once, and no orphans.",
    needs=("postgres", "seaweedfs"),
    run=run,
    full_rounds=40,
)
