"""Drill 8: many writers hold their transactions while two exporters load the lake."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg
from pyiceberg.exceptions import CommitFailedException

from drills.findings import Findings
from drills.ground import Drill, Ground
from drills.lake import EVENTS, SQL, compare, insert
from orchestration_dagster.lake.loader import load
from payment_pipeline.settings import Settings

WRITERS: Final = 16
EXPORTERS: Final = 2
TRANSACTIONS_A_ROUND: Final = 20
ROWS_MAX: Final = 20
HELD_S_MAX: Final = 0.05


def run(ground: Ground) -> Findings:
    """Write and load at the same time; then the lake must have each row once."""
    found = Findings()
    settings = ground.settings
    # The native catalog makes a table in two steps: of two that are the first, one fails.
    load(settings, EVENTS.name)
    naive, loads, done = set[str](), list[bool](), threading.Event()

    def write(writer: int, seed: int) -> None:
        dice = random.Random(seed)
        with psycopg.connect(settings.dsn) as connection:
            for number in range(TRANSACTIONS_A_ROUND * ground.rounds):
                insert(connection, f"{ground.seed}-{writer}-{number}-", dice.randint(1, ROWS_MAX))
                time.sleep(dice.random() * HELD_S_MAX)  # the held transaction is what is tried
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

    seeds = [ground.dice.randrange(2**31) for _ in range(WRITERS)]
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
    compare(settings, found)
    missed = found.acknowledged - len(naive)
    found.figures = {
        "loads": sum(loads),
        "loads_given_up": loads.count(False),
        "missed_by_an_id_watermark": missed,
    }
    ground.say(f"control, a watermark by id: it missed {missed} of {found.acknowledged} rows")
    found.control_failed = missed > 0
    return found


def _load(settings: Settings) -> bool:
    """Whether it came to its end; Dagster tries a run again to which the other was always ahead."""
    try:
        load(settings, EVENTS.name)
    except CommitFailedException:
        return False
    return True


DRILL = Drill(
    number=8,
    promise="Two exporters beside many held transactions load each row into the lake once.",
    needs=("postgres", "seaweedfs"),
    run=run,
    full_rounds=10,
)
