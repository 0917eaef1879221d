"""Measures the loader's rows per second from bronze to Iceberg, against bare calls and two peers.

The bare calls are an ADBC read and a PyIceberg append. The bare append has no partitions and makes
one commit instead of the loader's three, so it is a strict limit. The peers, pandas and dlt, load
the same rows in temporary environments. A peer that cannot be installed is left out, with a
message. All rows are different and come from a simulated market. Needs PostgreSQL and S3 with the
catalog: `make bench ARGS=lake`.
"""

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple
from unittest.mock import patch
from uuid import uuid4

import adbc_driver_postgresql.dbapi as adbc
import psycopg
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from bench.figure import Figure
from orchestration_dagster.lake import lake_tables
from orchestration_dagster.lake.bronze_arrow import Bronze, open_bronze
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.lake.loader import load_table
from orchestration_dagster.lake.schema import iceberg_schema, to_lake
from payment_pipeline.adapters import postgres
from payment_pipeline.bronze import writer
from payment_pipeline.bronze.contract import EVENTS_TABLE
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.settings import Settings
from support.bronze_events import events, scored
from support.databases import migrated_schema

EVENTS: Final = 20_000
COPIES: Final = 10
"""Copies of each event, with different ids, payments, bodies, amounts, attributes and scores."""
BATCH: Final = 1000
ROUNDS: Final = 3
SHARE_OF_BARE_MIN: Final = 0.6
PEER_S_MAX: Final = 600
TABLE: Final = TABLES[EVENTS_TABLE]
COLUMNS: Final = ", ".join(
    f"{column.name}::text::bigint AS {column.name}" if column.type == "xid8" else column.name
    for column in TABLE.columns
)
READ: Final = f"SELECT {COLUMNS} FROM payment_events"
# Values that would be equal in two copies are changed, so that encoders find no repetitions.
COPY: Final = """
INSERT INTO payment_events ({columns})
SELECT {values} FROM payment_events, generate_series(1, {copies}) AS copy
WHERE workflow_id LIKE 'ingest/bench/%'
"""
# A number in [0, 1] that depends only on the event and the copy.
SHARE: Final = "abs(hashtextextended(event_id || '{name}', copy)) / 2 ^ 63"
FRAUD: Final = SHARE.format(name="fraud")
CHURN: Final = SHARE.format(name="churn")
# Events that a model scores.
APPLIES: Final = "kind IN ('payment', 'charge', 'subscription')"
SCORES: Final = f"""
jsonb_set(
    jsonb_set(
        jsonb_set(
            jsonb_set(scores, '{{fraud_score,value}}', to_jsonb({FRAUD})),
            '{{churn_score,value}}', to_jsonb({CHURN})
        ),
        '{{fraud_score,reasons,0,contribution}}', to_jsonb(random())
    ),
    '{{churn_score,reasons,0,contribution}}', to_jsonb(random())
)"""
OWN: Final = {
    "event_id": "event_id || '_' || copy",
    "payment_id": "payment_id || '_' || copy",
    "object_id": "object_id || '_' || copy",
    "amount_minor": "amount_minor + (random() * 1000)::int",
    "attributes": (
        "attributes || jsonb_build_object("
        "'balance_transaction_id', 'txn_' || left(md5(event_id || copy), 24))"
    ),
    "fraud_score": f"CASE WHEN {APPLIES} THEN {FRAUD} END",
    "churn_score": f"CASE WHEN {APPLIES} THEN {CHURN} END",
    "scores": f"CASE WHEN {APPLIES} THEN {SCORES} END",
    "inference_status": f"CASE WHEN {APPLIES} THEN 'scored' ELSE 'not_applicable' END",
    "body_sha256": "encode(sha256((event_id || copy)::bytea), 'hex')",
    "source_offset": "source_offset + (random() * 1000000)::int",
    "workflow_id": "'copy/' || copy || '/' || left(md5(event_id), 4)",
}


class Peer(NamedTuple):
    """Another loader, run by `bench/lake_peers.py` in a temporary environment."""

    name: str
    packages: tuple[str, ...]
    reference: str
    times_min: float


PEERS: Final = (
    Peer("pandas", ("pandas", "psycopg[binary]", "pyiceberg[pyarrow]==0.12.0"), "pandas", 2.0),
    Peer("dlt", ("dlt[sql_database,filesystem,pyiceberg]", "psycopg[binary]"), "dlt", 2.0),
)


def lake_figures(settings: Settings) -> list[Figure]:
    """Measure the loader's rate against the bare calls and the peers, as medians of rounds."""
    with migrated_schema(settings) as own:
        write(own, events(EVENTS))
        rows = multiply(own, OWN, COPIES)
        ours_s, bare_s = [], []
        with open_bronze(own) as bronze:
            for _ in range(ROUNDS):
                # The ways alternate, so other work on the machine slows both.
                ours_s.append(_timed(own, bronze, _ours))
                bare_s.append(_timed(own, bronze, _bare))
        ours, bare = rows / median(ours_s), rows / median(bare_s)
        found = [_figure("bare ADBC read + append", ours, bare, SHARE_OF_BARE_MIN)]
        for peer in PEERS:
            seconds = _peer_s(own, peer)
            if seconds is not None:
                found.append(_figure(peer.reference, ours, rows / seconds, peer.times_min))
        return found


def _figure(reference: str, ours: float, theirs: float, target: float) -> Figure:
    return Figure(
        name=f"bronze to Iceberg, against {reference}",
        value=round(ours),
        unit="rows/s",
        reference=f"{reference} of the same rows",
        reference_value=round(theirs),
        ratio=round(ours / theirs, 2),
        target=target,
        met=ours / theirs >= target,
    )


def write(settings: Settings, given: Sequence[PaymentEvent]) -> None:
    """Write events to bronze as the pipeline does."""
    asyncio.run(_write(settings, given))


async def _write(settings: Settings, given: Sequence[PaymentEvent]) -> None:
    pool = await postgres.pool(settings, 1, 1)
    rows = [scored(event) for event in given]
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        await writer.write(pool, batch, f"ingest/bench/{given[start].event_id}")
    await pool.close()


def multiply(settings: Settings, own: Mapping[str, str], copies: int) -> int:
    """Copy the events with the expressions in `own`, and return the new number of rows."""
    kept = [column.name for column in TABLE.columns if column.name not in {"id", "ingest_xid"}]
    values = ", ".join(own.get(name, name) for name in kept)
    copy = COPY.format(columns=", ".join(kept), values=values, copies=copies)
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        connection.execute(copy.encode())
        connection.execute("VACUUM ANALYZE payment_events")
        (count,) = connection.execute("SELECT count(*) FROM payment_events").fetchone() or (0,)
    return int(count)


Way = Callable[[Settings, Bronze, Catalog], None]


def _timed(settings: Settings, bronze: Bronze, way: Way) -> float:
    """Load in one way into an empty namespace, and return the seconds."""
    catalog = open_catalog(settings)
    with _namespace(catalog):
        gc.collect()
        start = perf_counter()
        way(settings, bronze, catalog)
        return perf_counter() - start


@contextmanager
def _namespace(catalog: Catalog) -> Iterator[str]:
    name = f"bench_{uuid4().hex}"
    catalog.create_namespace(name)
    with patch.object(lake_tables, "NAMESPACE", name):
        yield name
    for identifier in catalog.list_tables(name):
        catalog.drop_table(identifier)
    catalog.drop_namespace(name)


def _ours(_settings: Settings, bronze: Bronze, catalog: Catalog) -> None:
    load_table(catalog, bronze, TABLE)


def _bare(settings: Settings, _bronze: Bronze, catalog: Catalog) -> None:
    with adbc.connect(settings.dsn) as connection, connection.cursor() as cursor:
        cursor.execute(READ)
        rows = cursor.fetch_arrow_table()
    _plain(catalog).append(to_lake(rows, TABLE))


def _peer_s(settings: Settings, peer: Peer) -> float | None:
    """Return a peer's seconds without imports, or None if it cannot be installed or fails."""
    catalog = open_catalog(settings)
    with _namespace(catalog):
        if peer.name == "pandas":
            _plain(catalog)
        given = {
            "dsn": settings.dsn,
            "query": READ.replace("attributes", "attributes::text").replace(
                "scores", "scores::text"
            ),
            "catalog": dict(catalog.properties),
            "table": list(TABLE.identifier),
        }
        wanted = [part for package in peer.packages for part in ("--with", package)]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--isolated"),
                *("--python", sys.executable, *wanted),
                *("python", str(Path(__file__).with_name("lake_peers.py")), peer.name),
            ],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            timeout=PEER_S_MAX,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        print(f"{peer.name} is left out: {reason}", file=sys.stderr)
        return None
    return float(done.stdout.strip().splitlines()[-1])


def _plain(catalog: Catalog) -> Table:
    """Create a table with the same columns and without partitions, as a simple script does."""
    return catalog.create_table(TABLE.identifier, iceberg_schema(TABLE))
