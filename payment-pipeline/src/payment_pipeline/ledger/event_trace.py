"""Traces an event, a payment or a workflow through every stage.

The tables are searched first, because all events but the unmodelled ones end there. If no table has
the event, the newest records of each topic are searched. The trace then says how far the consumer
group of that topic is.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson
from aiokafka import ConsumerRecord, TopicPartition
from pydantic import TypeAdapter

from payment_pipeline.adapters import postgres
from payment_pipeline.adapters.kafka import raw_event
from payment_pipeline.domain import headers
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.domain.topics import DLQ_VALIDATION, NORMALIZED, UNMODELLED
from payment_pipeline.settings import Settings

from . import audited_topics, record_reader, settling, workflow_runs
from .audited_tables import SQL
from .stages import Stage
from .workflow_runs import Run, Runs

ROWS_MAX: Final = 200
"""Rows shown of a payment or a workflow. The workflow of a range writes up to 1,000 rows."""
FIND_RECORDS_MAX: Final = 1_000_000
"""Records of each topic that are searched for an event that no table has. Takes seconds."""
BODY_PREFIX: Final = "sha256:"
"""Prefix of the name that the audit gives an event without an id."""
COORDINATES: Final = TypeAdapter(Coordinates)
_FOLLOW_UP: Final = re.compile(r"(?:review|recovery)/[^/]+/(?P<payment_id>.+)")


@dataclass(frozen=True)
class Sighting:
    """One event in one stage."""

    stage: Stage
    provider: str
    event_id: str | None
    event_type: str | None
    """Provider-neutral in bronze; elsewhere the provider's own type."""
    received_at: datetime
    source: Coordinates
    """Coordinates of the raw record, or of the record that was found if the raw one is unknown."""
    trace_id: str | None
    workflow_id: str | None
    more: Mapping[str, Any]
    """Further values: the columns of a table; `found_at` and `standing` on a topic."""


@dataclass(frozen=True)
class Trace:
    """The result of a trace."""

    wanted: str
    sightings: tuple[Sighting, ...]
    """Of an event: every stage that has it. Of a payment: its events in order of occurrence."""
    workflows: tuple[Run, ...]
    """The workflows of these events, then the reviews and recoveries of a payment."""
    decisions: tuple[Mapping[str, Any], ...]
    """The decisions of reviews and recoveries about the payment, in order."""
    temporal_silence: str | None
    """Why there are no workflows; `None` if Temporal answered."""


async def trace(settings: Settings, wanted: str, progress: audited_topics.Progress) -> Trace:
    """Find an event, a payment or a workflow by its id.

    Raises:
        UserError: nothing has the id (exit code 1), or a store does not answer.
    """
    progress("asking bronze and the quarantine")
    pool = await postgres.pool(settings, application="payments-trace", service="reader")
    try:
        temporal = await workflow_runs.connected(settings)
        follow_up = _FOLLOW_UP.fullmatch(wanted)
        sightings = await _in_tables(pool, follow_up["payment_id"] if follow_up else wanted)
        if not sightings and "/" not in wanted:
            sightings = await _on_topics(settings, wanted, temporal, progress)
        elif _payment_id(sightings) == wanted:
            sightings += await _on_topics(settings, wanted, temporal, progress, {UNMODELLED})
            sightings.sort(key=lambda seen: seen.more.get("occurred_at") or seen.received_at)
        progress("asking Temporal")
        workflows = {id_: await temporal.of(id_) for id_ in _workflow_ids(wanted, sightings)}
        payment_id = _payment_id(sightings)
        if payment_id is not None:
            workflows |= {run.id: run for run in await temporal.of_payment(payment_id)}
        if not sightings and not any(run.status for run in workflows.values()):
            raise UserError(_nowhere(wanted, temporal.silence), 1)
        decisions = await pool.fetch(SQL["trace_decisions"], payment_id)
    finally:
        await pool.close()
    return Trace(
        wanted,
        tuple(sightings),
        tuple(workflows.values()),
        tuple(map(dict, decisions)),
        temporal.silence,
    )


def _workflow_ids(wanted: str, sightings: list[Sighting]) -> list[str]:
    found = {seen.workflow_id for seen in sightings if seen.workflow_id}
    return sorted(found | ({wanted} if "/" in wanted else set()))


def _payment_id(sightings: list[Sighting]) -> str | None:
    """Return the payment of the sightings, if all are about the same one."""
    found = {seen.more.get("payment_id") for seen in sightings} - {None}
    return found.pop() if len(found) == 1 else None


def _nowhere(wanted: str, temporal_silence: str | None) -> str:
    if "/" in wanted:
        return temporal_silence or f"Temporal has no workflow {wanted}, and no row names it."
    return (
        f"No event, payment or workflow has the id {wanted}: not in bronze, not in the "
        f"quarantine, not among the newest {FIND_RECORDS_MAX:,} records of any topic."
    )


# --- tables -----------------------------------------------------------------------------------


async def _in_tables(pool: asyncpg.Pool, wanted: str) -> list[Sighting]:
    body = wanted.removeprefix(BODY_PREFIX) if wanted.startswith(BODY_PREFIX) else None
    try:
        events = await pool.fetch(SQL["trace_events"], wanted, ROWS_MAX)
        of_payment = any(row["payment_id"] == wanted for row in events)
        letters = await pool.fetch(SQL["trace_quarantined"], wanted, body, of_payment, ROWS_MAX)
    except asyncpg.UndefinedTableError:
        raise UserError("Bronze has no tables: create them with `payments migrate`.") from None
    return [
        *(_row(Stage.BRONZE, row, "event_type") for row in events),
        *(_row(Stage.QUARANTINE, row, "provider_event_type") for row in letters),
    ]


def _row(stage: Stage, row: asyncpg.Record, event_type: str) -> Sighting:
    columns = dict(row)
    source = {name: columns.pop(f"source_{name}") for name in ("topic", "partition", "offset")}
    return Sighting(
        stage,
        columns.pop("provider"),
        columns.pop("event_id"),
        columns.pop(event_type),
        columns.pop("received_at"),
        Coordinates(**source),
        _trace_id(columns.pop("traceparent")),
        columns.pop("workflow_id"),
        columns,
    )


def _trace_id(traceparent: str | None) -> str | None:
    """Return the trace id of a W3C `traceparent`: `version-traceid-parentid-flags`."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else None


# --- topics -----------------------------------------------------------------------------------


async def _on_topics(
    settings: Settings,
    wanted: str,
    temporal: Runs,
    progress: audited_topics.Progress,
    only: Collection[str] = (),
) -> list[Sighting]:
    """Find on the topics the events of an id that no table has; the last stage of each event.

    Args:
        settings: the address of Kafka.
        wanted: the id of an event or a payment, or the name of a body.
        temporal: looks up the workflow of a record.
        progress: is called with what is being done.
        only: the topics to search; all if none is given.
    """
    id_bytes = wanted.encode(errors="replace")
    body = wanted.removeprefix(BODY_PREFIX)

    def is_wanted(record: ConsumerRecord) -> bool:
        if record.key == id_bytes:
            return True
        given = dict(record.headers)
        digest = given.get(headers.BODY_SHA256, b"").decode(errors="replace")
        return given.get(headers.CE_ID) == id_bytes or (body != wanted and digest.startswith(body))

    async with audited_topics.connected(settings) as kafka:
        furthest: dict[str, ConsumerRecord] = {}
        async for found in kafka.find(is_wanted, FIND_RECORDS_MAX, progress, only):
            for record in found:
                raw = raw_event(record)
                furthest.setdefault(raw.identity_sha256 or raw.body_sha256, record)
            if any(record.key != id_bytes for record in found):
                break  # an event, not a payment, in its last stage
        return [await _sighting(kafka, record, temporal) for record in furthest.values()]


async def _sighting(
    kafka: audited_topics.Topics, record: ConsumerRecord, temporal: Runs
) -> Sighting:
    raw = raw_event(record)
    stage = record_reader.stages_of(record.topic)[-1]
    partition = TopicPartition(record.topic, record.partition)
    run, standing = None, "no model covers its type, so the event stays here"
    if group := settling.group_of(record.topic):
        reached = (await kafka.committed(group)).get(partition, 0)
        standing = f"the {group} has processed it: see its logs and the audit"
        if reached <= record.offset:
            standing = f"the {group} has {record.offset - reached:,} records to process before it"
    if stage is not Stage.UNMODELLED:
        run = await temporal.of_record(record.topic, record.partition, record.offset)
    return Sighting(
        stage,
        raw.provider,
        raw.event_id,
        raw.event_type,
        raw.received_at,
        _source_of(record) or raw.coordinates,
        _trace_id(raw.traceparent),
        run.id if run else None,
        {
            "standing": standing,
            "found_at": str(raw.coordinates),
            "body_sha256": raw.body_sha256,
            "identity_sha256": raw.identity_sha256,
        },
    )


def _source_of(record: ConsumerRecord) -> Coordinates | None:
    """Return the raw record that an unmodelled record was copied from, or that the JSON names."""
    given = dict(record.headers)
    try:
        if headers.SOURCE_TOPIC in given:
            topic, partition, offset = (
                given[name].decode()
                for name in (headers.SOURCE_TOPIC, headers.SOURCE_PARTITION, headers.SOURCE_OFFSET)
            )
            return COORDINATES.validate_python(
                {"topic": topic, "partition": int(partition), "offset": int(offset)}
            )
        if record.topic in (NORMALIZED, DLQ_VALIDATION):
            return COORDINATES.validate_python(orjson.loads(record.value or b"")["source"])
    except (LookupError, TypeError, ValueError):  # written by a foreign producer
        pass
    return None
