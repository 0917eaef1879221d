"""Searches every location outside the raw store for leaked texts.

The raw store is the raw topics, the dead letters, the unmodelled events and the bodies in the
quarantine. The search covers everything else: logs, metrics, spans, record keys and headers,
normalized events, workflow histories, tables, the lake and the dashboards.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from secrets import token_hex
from time import time_ns
from typing import Any, Final, NamedTuple

import aiohttp
import psycopg
import pyarrow as pa
from aiokafka.admin import NewTopic
from psycopg import sql
from temporalio.client import Client

from drills import dashboard_rows
from drills.span_collector import Collector
from local_stack import files, supervisor
from local_stack.components import superset
from orchestration_dagster.lake import erase
from orchestration_dagster.lake.catalog import open_catalog
from payment_pipeline.adapters import kafka, temporal
from payment_pipeline.domain.topics import NORMALIZED
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry.otlp import OtlpTracer
from support.records import every_record

CONTROL: Final = "canary_control"
"""Name of everything that the control creates: log file, table, topic, workflow, span."""
CONTROL_SCHEMA: Final = f"{CONTROL}_marts"
"""Schema of the control's table in the lakehouse. The dashboards read no schema but the marts."""
BODIES: Final = "body"
"""Column of the quarantine with the signed bytes, which belongs to the raw store."""
STORES: Final = frozenset({"kafka", "postgres", "seaweedfs", "secrets"})
"""Folders that are not read as files. The servers answer for the data; secrets stay secret."""
FILES: Final = "logs and other files"
CACHE: Final = "dashboards' cache"
METRICS: Final = "metrics"
TRACES: Final = "traces"
RECORDS: Final = "records' keys, headers and events"
WORKFLOWS: Final = "workflows"
BRONZE: Final = "bronze"
DAGSTER: Final = "dagster"
DASHBOARDS: Final = "dashboards"
LAKE: Final = "files of"
"""Prefix before the name of a lakehouse schema."""
LOCATIONS: Final = frozenset(
    {FILES, METRICS, TRACES, RECORDS, WORKFLOWS, f"{LAKE} data"}
    | {f"{BRONZE} {table}" for table in ("payment_events", "payment_events_quarantine")}
)
"""Locations that must not be empty: an empty location proves nothing."""
LOCATIONS_WITH_MARTS: Final = frozenset(
    {f"{LAKE} staging", f"{LAKE} marts", f"{DAGSTER} runs", f"{DAGSTER} event_logs"}
)
"""Further locations that must not be empty after Dagster has built the marts."""
PLANTED_IN: Final = frozenset(
    {FILES, TRACES, RECORDS, WORKFLOWS}
    | {f"{LAKE} {CONTROL_SCHEMA}", f"{BRONZE} {CONTROL}", f"{DAGSTER} {CONTROL}"}
)
"""Locations where the control plants a text, besides the dashboards if they run. A test cannot
plant a text in the metrics of a running process."""


class Hits(NamedTuple):
    """The result of the search in one location."""

    location: str
    searched: int
    """Number of searched lines, rows, records or workflows."""
    hits: int


async def search(
    settings: Settings, texts: Sequence[str], spans: Collector, *, shown: bool
) -> list[Hits]:
    """Search every location outside the raw store; the dashboards only if `shown`."""
    # The dashboards come first, because their answers go into their cache, which is searched too.
    answered = [await _dashboards(settings, texts)] if shown else []
    return [
        *answered,
        *_files(settings, texts),
        await _metrics(settings, texts),
        _spans(spans, texts),
        await _headers_and_events(settings, texts),
        await _workflows(settings, texts),
        *_tables(settings.dsn, BRONZE, texts),
        *_tables(settings.dagster_storage, DAGSTER, texts),
        *_lake(settings, texts),
    ]


@asynccontextmanager
async def planted(
    settings: Settings, text: str, spans: Collector, *, shown: bool
) -> AsyncIterator[None]:
    """Plant the text in each kind of location, and remove it at the end: the control."""
    databases = (settings.dsn, settings.dagster_storage)
    client = await temporal.connect(settings)
    log = files.log_path(settings, CONTROL)
    log.write_text(f"{text}\n")
    for dsn in databases:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {CONTROL} AS SELECT %s::text AS planted", (text,))
    _trace(spans, text)
    await _produce(settings, text)
    catalog = open_catalog(settings)
    catalog.create_namespace_if_not_exists(CONTROL_SCHEMA)
    rows = pa.table({"planted": [text]})
    catalog.create_table((CONTROL_SCHEMA, CONTROL), rows.schema).append(rows)
    handle = await client.start_workflow(CONTROL, text, id=CONTROL, task_queue=CONTROL)
    dataset = (
        dashboard_rows.temporary_dataset(settings, CONTROL_SCHEMA, CONTROL)
        if shown
        else nullcontext()
    )
    try:
        async with dataset:
            yield
    finally:
        log.unlink()
        for dsn in databases:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(f"DROP TABLE {CONTROL}")
        await _drop_topic(settings)
        catalog.purge_table((CONTROL_SCHEMA, CONTROL))
        catalog.drop_namespace(CONTROL_SCHEMA)
        await handle.terminate()


async def _dashboards(settings: Settings, texts: Sequence[str]) -> Hits:
    found = [any(text in row for text in texts) async for row in dashboard_rows.all_rows(settings)]
    return Hits(DASHBOARDS, len(found), sum(found))


def _files(settings: Settings, texts: Sequence[str]) -> Iterator[Hits]:
    """Search every file of the stack outside the raw store: logs, files of Temporal and Dagster.

    The dashboards' cache is a separate location. Otherwise a planted text in the cache would hide
    that the search misses logs.
    """
    wanted = [text.encode() for text in texts]
    var, cache = files.var(settings), superset.cache(settings)
    searched, hits = Counter[str](), Counter[str]()
    for path in var.rglob("*"):
        if path.relative_to(var).parts[0] in STORES or not path.is_file():
            continue
        location = CACHE if path.is_relative_to(cache) else FILES
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # a process has just replaced the file
            continue
        searched[location] += 1
        hits[location] += any(text in content for text in wanted)
    for location, count in searched.items():
        yield Hits(location, count, hits[location])


async def _metrics(settings: Settings, texts: Sequence[str]) -> Hits:
    ports = [
        *(settings.gateway_metrics_port, settings.inference_port, settings.normalizer_metrics_port),
        *(settings.dispatcher_metrics_port, settings.worker_metrics_port),
    ]
    if supervisor.states(settings)["lake-metrics"]["statename"] == "RUNNING":
        ports.append(settings.lake_metrics_port)
    lines: list[str] = []
    async with aiohttp.ClientSession() as session:
        for port in ports:
            async with session.get(f"http://{settings.host}:{port}/metrics") as answer:
                lines += (await answer.text()).splitlines()
    return Hits(METRICS, len(lines), sum(any(text in line for text in texts) for line in lines))


def _spans(spans: Collector, texts: Sequence[str]) -> Hits:
    raw = [span.raw for span in spans.spans]
    return Hits(TRACES, len(raw), sum(any(text in span for text in texts) for span in raw))


async def _headers_and_events(settings: Settings, texts: Sequence[str]) -> Hits:
    """Search the key and headers of every record, and the value on the topic of events."""
    wanted = [text.encode() for text in texts]
    records = hits = 0
    async for record in every_record(settings):
        records += 1
        parts = [record.key or b"", *(value for _, value in record.headers)]
        if record.topic in {NORMALIZED, CONTROL}:
            parts.append(record.value or b"")
        hits += any(text in part for text in wanted for part in parts)
    return Hits(RECORDS, records, hits)


async def _workflows(settings: Settings, texts: Sequence[str]) -> Hits:
    client = await temporal.connect(settings)
    wanted = [text.encode() for text in texts]
    runs = hits = 0
    async for one in client.list_workflows():
        runs += 1
        parts = [one.raw_info.SerializeToString(), *await _history(client, one.id, one.run_id)]
        hits += any(text in part for text in wanted for part in parts)
    return Hits(WORKFLOWS, runs, hits)


async def _history(client: Client, workflow_id: str, run_id: str) -> list[bytes]:
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    return [event.SerializeToString() async for event in handle.fetch_history_events()]


def _tables(dsn: str, database: str, texts: Sequence[str]) -> Iterator[Hits]:
    """Search every column of every table, except the signed bytes."""
    with psycopg.connect(dsn) as connection:
        for (table,) in connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        ).fetchall():
            query = sql.SQL(
                "SELECT count(*), count(*) FILTER (WHERE EXISTS ("
                "SELECT FROM unnest(%s::text[]) AS text"
                " WHERE strpos((to_jsonb(row_) - %s)::text, text) > 0)) FROM {} AS row_"
            ).format(sql.Identifier(table))
            searched: Any = connection.execute(query, (list(texts), BODIES)).fetchone()
            yield Hits(f"{database} {table}", *searched)


def _lake(settings: Settings, texts: Sequence[str]) -> Iterator[Hits]:
    """Search every file of every schema, including the marts."""
    rows, hits = Counter[str](), Counter[str]()
    # Every text contains the empty text, so the search for it counts all rows.
    for counts, wanted in ((rows, [""]), (hits, [re.escape(text) for text in texts])):
        for table, count in erase.find(settings, wanted).items():
            counts[table.partition(".")[0]] += count
    for schema, searched in rows.items():
        yield Hits(f"{LAKE} {schema}", searched, hits[schema])


def _trace(spans: Collector, text: str) -> None:
    """Send a span to the collector, as every process does."""
    tracer = OtlpTracer(CONTROL, spans.endpoint, ratio=1.0)
    traceparent = f"00-{token_hex(16)}-{token_hex(8)}-01"
    tracer.record(CONTROL, traceparent, time_ns(), {"planted": text})
    tracer.close()


async def _produce(settings: Settings, text: str) -> None:
    admin = kafka.admin_client(settings)
    producer = kafka.producer(settings)
    await admin.start()
    await producer.start()
    try:
        await admin.create_topics([NewTopic(CONTROL, 1, 1)])
        await producer.send_and_wait(CONTROL, b"", headers=[("planted", text.encode())])
    finally:
        await producer.stop()
        await admin.close()


async def _drop_topic(settings: Settings) -> None:
    admin = kafka.admin_client(settings)
    await admin.start()
    try:
        await admin.delete_topics([CONTROL])
    finally:
        await admin.close()
