"""Serves Prometheus metrics of the lake: its freshness, its size and the age of the horizon.

Run it with `python -m orchestration_dagster.lake.lake_metrics`. It samples the lake and bronze
every `SAMPLE_S` seconds and changes nothing. Loads are runs of Dagster that end within a minute, so
Prometheus can't scrape them.
"""

import asyncio
from time import monotonic
from typing import Final

import adbc_driver_postgresql.dbapi as adbc
import structlog
from prometheus_client import Counter, Gauge
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import RESTError
from requests import RequestException

from payment_pipeline import telemetry
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, load

from .bronze_arrow import Bronze, open_bronze
from .catalog import find_table, open_catalog
from .lake_tables import TABLES, LakeTable
from .watermark import Watermark

SAMPLE_S: Final = 30.0
READY_WITHIN_S: Final = 120.0
"""The process is ready if the last successful sample is younger than this."""

WAITING: Final = Gauge(
    "payments_lake_waiting_rows", "Rows of bronze that are not in the lake yet.", ["table"]
)
WAITING_AGE_S: Final = Gauge(
    "payments_lake_waiting_age_seconds",
    "For how long the oldest row that is new to the lake has waited for it; 0 when none does.",
    ["table"],
)
HORIZON_AGE_S: Final = Gauge(
    "payments_lake_horizon_age_seconds",
    "For how long the oldest writing transaction has held back what the lake may read.",
)
COMMITTED_AT_S: Final = Gauge(
    "payments_lake_last_commit_timestamp_seconds", "Unix time of the last commit.", ["table"]
)
ROWS: Final = Gauge("payments_lake_rows", "Rows in the lake.", ["table"])
FILES: Final = Gauge("payments_lake_data_files", "Data files of the current snapshot.", ["table"])
BYTES: Final = Gauge("payments_lake_data_bytes", "Size of the current snapshot's files.", ["table"])
FAILURES: Final = Counter(
    "payments_lake_sample_failures_total", "Times that bronze or the catalog did not answer."
)

log = structlog.get_logger()


async def main() -> None:
    """Sample repeatedly until the process receives its stop signal."""
    settings = load()
    telemetry.configure("lake-metrics", settings)
    sampled_at_s = -READY_WITHIN_S

    def ready() -> bool:
        return monotonic() - sampled_at_s < READY_WITHIN_S

    async with telemetry.serve_probes(settings.lake_metrics_port, settings.host, ready):
        while True:
            try:
                await asyncio.to_thread(sample, settings)
                sampled_at_s = monotonic()
            except (UserError, RESTError, RequestException, adbc.Error, OSError) as refusal:
                FAILURES.inc()
                log.warning("not_sampled", error=type(refusal).__name__)
            await asyncio.sleep(SAMPLE_S)


def sample(settings: Settings) -> None:
    """Reads the lake and bronze once, and sets all metrics.

    Raises:
        UserError, RESTError, RequestException, adbc.Error: PostgreSQL or the catalog is down.
    """
    catalog = open_catalog(settings)
    with open_bronze(settings) as bronze:
        HORIZON_AGE_S.set(bronze.horizon().age_s)
        for table in TABLES.values():
            _sample_table(catalog, bronze, table)


def _sample_table(catalog: Catalog, bronze: Bronze, table: LakeTable) -> None:
    watermark = Watermark()
    lake = find_table(catalog, table)
    if lake is not None:
        watermark = Watermark.of(lake.properties)
        snapshot = lake.current_snapshot()
        if snapshot is not None:
            said = snapshot.summary.additional_properties if snapshot.summary else {}
            COMMITTED_AT_S.labels(table.name).set(snapshot.timestamp_ms / 1000)
            ROWS.labels(table.name).set(int(said.get("total-records", 0)))
            FILES.labels(table.name).set(int(said.get("total-data-files", 0)))
            BYTES.labels(table.name).set(int(said.get("total-files-size", 0)))
    waiting = bronze.waiting(table, watermark)
    WAITING.labels(table.name).set(waiting.rows)
    WAITING_AGE_S.labels(table.name).set(waiting.oldest_age_s)


if __name__ == "__main__":
    telemetry.run(main)
