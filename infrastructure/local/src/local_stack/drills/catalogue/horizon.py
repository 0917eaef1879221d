"""Drill 8: many writers hold their transactions while two exporters load the lake."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg

from local_stack.drills.findings import Findings
from local_stack.drills.ground import Drill, Ground
from local_stack.drills.lake import EVENTS, SQL, compare, insert
from orchestration_dagster.lake.loader import load

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
    naive, loads, done = set[str](), [0] * EXPORTERS, threading.Event()

    def write(writer: int, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - it shall repeat
        with psycopg.connect(settings.dsn) as connection:
            for number in range(TRANSACTIONS_A_ROUND * ground.rounds):
                insert(connection, f"{ground.seed}-{writer}-{number}-", dice.randint(1, ROWS_MAX))
                time.sleep(dice.random() * HELD_S_MAX)  # the held transaction is what is tried
                connection.commit()

    def export(exporter: int) -> None:
        while not done.is_set():
            load(settings, EVENTS.name)
            loads[exporter] += 1

    def read_naively() -> None:
        with psycopg.connect(settings.dsn, autocommit=True) as connection:
            last = 0
            while not done.is_set():
                for event_id, row_id in connection.execute(SQL["after_id"], {"last": last}):
                    naive.add(event_id)
                    last = row_id

    seeds = [ground.dice.randrange(2**31) for _ in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS + EXPORTERS + 1) as threads:
        readers = [threads.submit(export, number) for number in range(EXPORTERS)]
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
    found.figures = {"loads": sum(loads), "missed_by_an_id_watermark": missed}
    ground.say(f"control, a watermark by id: it missed {missed} of {found.acknowledged} rows")
    found.control_failed = missed > 0
    return found


DRILL = Drill(
    number=8,
    promise="Two exporters beside many held transactions load each row into the lake once.",
    needs=("postgres", "seaweedfs"),
    run=run,
    full_rounds=10,
)
