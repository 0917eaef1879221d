"""Drill 8: many writers hold transactions open while two exporters load the lake."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg
from pyiceberg.exceptions import CommitFailedException

from drills.drill import Drill, DrillContext
from drills.findings import Findings
from drills.lake_faults import EVENTS, SQL, compare_with_bronze, insert_events
from orchestration_dagster.lake.loader import load
from payment_pipeline.settings import Settings

WRITERS: Final = 16
EXPORTERS: Final = 2
TRANSACTIONS_A_ROUND: Final = 20
ROWS_MAX: Final = 20
HELD_S_MAX: Final = 0.05


def run(context: DrillContext) -> Findings:
    """Write and load at the same time, then require each row once in the lake."""
    findings = Findings()
    settings = context.settings
    # The first load creates the table. The catalog does that in two steps, so of two first loads
    # at the same time one would fail.
    load(settings, EVENTS.name)
    naive, loads, done = set[str](), list[bool](), threading.Event()

    def write(writer: int, seed: int) -> None:
        rng = random.Random(seed)
        with psycopg.connect(settings.dsn) as connection:
            for number in range(TRANSACTIONS_A_ROUND * context.rounds):
                insert_events(
                    connection, f"{context.seed}-{writer}-{number}-", rng.randint(1, ROWS_MAX)
                )
                time.sleep(rng.random() * HELD_S_MAX)  # the drill tests open transactions
                connection.commit()

    def export() -> None:
        while not done.is_set():
            loads.append(_load(settings))

    def read_naively() -> None:
        with psycopg.connect(settings.dsn, autocommit=True) as connection:
            last = 0
            while not done.is_set():
                for event_id, row_id in connection.execute(SQL["after_id"], {"last": last}):
                    naive.add(event_id)
                    last = row_id

    seeds = [context.rng.randrange(2**31) for _ in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS + EXPORTERS + 1) as threads:
        readers = [threads.submit(export) for _ in range(EXPORTERS)]
        readers.append(threads.submit(read_naively))
        try:
            for writing in [threads.submit(write, *each) for each in enumerate(seeds)]:
                writing.result()
        finally:
            done.set()
        for reading in readers:
            reading.result()
    load(settings, EVENTS.name)
    compare_with_bronze(settings, findings)
    missed = findings.acknowledged - len(naive)
    findings.figures = {
        "loads": sum(loads),
        "loads_given_up": loads.count(False),
        "missed_by_an_id_watermark": missed,
    }
    context.progress(
        f"control, a watermark by id: it missed {missed} of {findings.acknowledged} rows"
    )
    findings.control_failed = missed > 0
    return findings


def _load(settings: Settings) -> bool:
    """Load once, and return whether it succeeded. Dagster would retry an overtaken load."""
    try:
        load(settings, EVENTS.name)
    except CommitFailedException:
        return False
    return True


DRILL = Drill(
    number=8,
    promise="Two exporters load each row into the lake once, despite many open transactions.",
    needs=("postgres", "seaweedfs"),
    run=run,
    full_rounds=10,
)
