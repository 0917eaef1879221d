"""Where outside the raw store could a text have leaked to, and does the search find one there?

The raw store is the raw topics, the dead letters, what no model covers, and the bodies in the
quarantine. Everything else is searched: what processes say and serve, what travels beside a body,
and what is kept of it.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any, Final, NamedTuple

import aiohttp
import psycopg
import pyarrow as pa
from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from psycopg import sql
from temporalio.client import Client

from local_stack import files
from orchestration_dagster.lake import erase
from orchestration_dagster.lake.catalog import open_catalog
from payment_pipeline.adapters import kafka, temporal
from payment_pipeline.domain.topics import NORMALIZED
from payment_pipeline.settings import Settings

CONTROL: Final = "canary_control"
"""What is planted to be found is called so, everywhere."""
BODIES: Final = "body"
"""The quarantine's signed bytes: raw store."""
STORES: Final = frozenset({"kafka", "postgres", "seaweedfs", "secrets"})
"""Folders that are searched through their servers, or are nobody's to read."""
FILES: Final = "logs and other files"
RECORDS: Final = "records' keys, headers and events"
WORKFLOWS: Final = "workflows"
LAKE: Final = "files of the lake"
PLANTED_IN: Final = {FILES, RECORDS, WORKFLOWS, LAKE, f"bronze {CONTROL}"}
"""Where the control plants one. Metrics have no place where anybody could."""


class Hits(NamedTuple):
    """What one place was found to hold."""

    place: str
    searched: int
    """Lines, rows, records or workflows: a search of nothing proves nothing."""
    hits: int


async def search(settings: Settings, texts: Sequence[str]) -> list[Hits]:
    """Look for the texts in every place outside the raw store."""
    return [
        _files(settings, texts),
        await _metrics(settings, texts),
        await _headers_and_events(settings, texts),
        await _workflows(settings, texts),
        *_tables(settings.dsn, "bronze", texts),
        *_tables(settings.dagster_storage, "dagster", texts),
        Hits(
            LAKE,
            # Every text holds the empty one: so many rows there are.
            sum(erase.find(settings, [""]).values()),
            sum(erase.find(settings, texts).values()),
        ),
    ]


@asynccontextmanager
async def planted(settings: Settings, text: str) -> AsyncIterator[None]:
    """One in each kind of place, gone at the end: the control that a search can find."""
    client = await temporal.connect(settings)
    log = files.log_path(settings, CONTROL)
    log.write_text(f"{text}\n")
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {CONTROL} AS SELECT %s::text AS said", (text,))
    await _produce(settings, text)
    catalog = open_catalog(settings)
    catalog.create_namespace_if_not_exists(CONTROL)
    said = pa.table({"said": [text]})
    catalog.create_table((CONTROL, CONTROL), said.schema).append(said)
    handle = await client.start_workflow(CONTROL, text, id=CONTROL, task_queue=CONTROL)
    try:
        yield
    finally:
        log.unlink()
        with psycopg.connect(settings.dsn, autocommit=True) as connection:
            connection.execute(f"DROP TABLE {CONTROL}")
        await _drop_topic(settings)
        catalog.purge_table((CONTROL, CONTROL))
        catalog.drop_namespace(CONTROL)
        await handle.terminate()


def _files(settings: Settings, texts: Sequence[str]) -> Hits:
    """Every file of the stack but the raw store's: logs, and Temporal's and Dagster's own."""
    wanted = [text.encode() for text in texts]
    var = files.var(settings)
    searched = hits = 0
    for path in var.rglob("*"):
        if path.is_file() and path.relative_to(var).parts[0] not in STORES:
            searched += 1
            hits += any(text in path.read_bytes() for text in wanted)
    return Hits(FILES, searched, hits)


async def _metrics(settings: Settings, texts: Sequence[str]) -> Hits:
    ports = (
        *(settings.gateway_port, settings.inference_port, settings.normalizer_metrics_port),
        *(settings.dispatcher_metrics_port, settings.worker_metrics_port),
    )
    lines: list[str] = []
    async with aiohttp.ClientSession() as session:
        for port in ports:
            async with session.get(f"http://{settings.host}:{port}/metrics") as answer:
                lines += (await answer.text()).splitlines()
    return Hits("metrics", len(lines), sum(any(text in line for text in texts) for line in lines))


async def _headers_and_events(settings: Settings, texts: Sequence[str]) -> Hits:
    """Every record's key and headers, and the whole of it on the topics of events."""
    wanted = [text.encode() for text in texts]
    records = hits = 0
    async for record in _records(settings):
        records += 1
        said = [record.key or b"", *(value for _, value in record.headers)]
        if record.topic in {NORMALIZED, CONTROL}:
            said.append(record.value or b"")
        hits += any(text in part for text in wanted for part in said)
    return Hits(RECORDS, records, hits)


async def _records(settings: Settings) -> AsyncIterator[ConsumerRecord]:
    async with kafka.reader(settings) as consumer:
        topics = [topic for topic in await consumer.topics() if not topic.startswith("__")]
        places = await kafka.partitions(settings, topics)
        consumer.assign(places)
        consumer.pause(*places)
        starts = dict(await consumer.beginning_offsets(places))
        ends = dict(await consumer.end_offsets(places))
        async for records in kafka.read_up_to(consumer, starts, ends):
            for record in records:
                yield record


async def _workflows(settings: Settings, texts: Sequence[str]) -> Hits:
    client = await temporal.connect(settings)
    wanted = [text.encode() for text in texts]
    runs = hits = 0
    async for one in client.list_workflows():
        runs += 1
        said = [one.raw_info.SerializeToString(), *await _history(client, one.id, one.run_id)]
        hits += any(text in part for text in wanted for part in said)
    return Hits(WORKFLOWS, runs, hits)


async def _history(client: Client, workflow_id: str, run_id: str) -> list[bytes]:
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    return [event.SerializeToString() async for event in handle.fetch_history_events()]


def _tables(dsn: str, database: str, texts: Sequence[str]) -> Iterator[Hits]:
    """Every table, every column but the signed bytes; nothing where there is no such database."""
    try:
        connection = psycopg.connect(dsn)
    except psycopg.OperationalError:
        return
    with closing(connection):
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


async def _produce(settings: Settings, text: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    producer = kafka.producer(settings)
    await admin.start()
    await producer.start()
    try:
        await admin.create_topics([NewTopic(CONTROL, 1, 1)])
        await producer.send_and_wait(CONTROL, b"", headers=[("said", text.encode())])
    finally:
        await producer.stop()
        await admin.close()


async def _drop_topic(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.delete_topics([CONTROL])
    finally:
        await admin.close()
