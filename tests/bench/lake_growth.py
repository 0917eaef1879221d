"""Measures how the time of a micro-batch grows when the history has ten times as many rows.

It measures the load and dbt's build without tests, with the same number of new rows. The copies in
the history have different payments and customers.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

from bench.figure import Figure
from bench.lake import OWN, multiply, write
from orchestration_dagster.lake.lake_tables import NAMESPACE, TABLES
from orchestration_dagster.lake.loader import load
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.settings import Settings
from support.bronze_events import events
from support.databases import migrated_schema
from support.dbt_project import Dbt

HISTORY: Final = 20_000
TIMES: Final = 10
NEW: Final = 500
"""Events of one batch: one minute at about eight events per second."""
ROUNDS: Final = 3
RATIO_MAX: Final = 1.5
EACH_COPYS: Final = OWN | {"customer_id": "customer_id || '_' || copy"}
BUILD: Final = (
    "build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"
)  # fmt: skip


class Seconds(NamedTuple):
    """Seconds of one micro-batch."""

    load: float
    dbt: float


def growth_figures(settings: Settings) -> list[Figure]:
    """Measure the same number of new rows on a short and a long history, as medians of rounds."""
    every = events(HISTORY + 2 * ROUNDS * NEW)
    fresh = [
        every[start : start + NEW] for start in range(HISTORY, HISTORY + 2 * ROUNDS * NEW, NEW)
    ]
    with migrated_schema(settings) as own, tempfile.TemporaryDirectory() as folder:
        dbt = Dbt(own, Path(folder), NAMESPACE, "")
        write(own, every[:HISTORY])
        micro_batch(own, dbt)
        few = [_new_rows(own, dbt, batch) for batch in fresh[:ROUNDS]]
        multiply(own, EACH_COPYS, TIMES - 1)
        micro_batch(own, dbt)
        many = [_new_rows(own, dbt, batch) for batch in fresh[ROUNDS:]]
    return [
        _figure("load and dbt", [sum(each) for each in few], [sum(each) for each in many]),
        _figure("the load", [each.load for each in few], [each.load for each in many]),
        _figure("dbt", [each.dbt for each in few], [each.dbt for each in many]),
    ]


def _figure(what: str, few: list[float], many: list[float]) -> Figure:
    ratio = median(many) / median(few)
    return Figure(
        name=f"{what}, {NEW} new events on {TIMES} times {HISTORY:,}",
        value=median(many),
        unit="s",
        reference=f"on {HISTORY:,}",
        reference_value=median(few),
        ratio=ratio,
        target=RATIO_MAX,
        met=ratio <= RATIO_MAX,
    )


def _new_rows(settings: Settings, dbt: Dbt, batch: tuple[PaymentEvent, ...]) -> Seconds:
    write(settings, batch)
    return micro_batch(settings, dbt)


def micro_batch(settings: Settings, dbt: Dbt) -> Seconds:
    """Load every table, and let dbt build all models."""
    began = perf_counter()
    for table in TABLES:
        load(settings, table)
    loaded = perf_counter()
    dbt.run(*BUILD)
    took = Seconds(loaded - began, perf_counter() - loaded)
    print(f"load {took.load:.1f} s, dbt {took.dbt:.1f} s", file=sys.stderr)
    return took
