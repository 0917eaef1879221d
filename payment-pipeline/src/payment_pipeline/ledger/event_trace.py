"""What is the whole life of an event, a payment or a workflow?

Tables are asked first, since all but the unmodelled end there; what is in neither is looked for on
the topics, the newest records to a limit, and told where it stands and who is behind.
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
"""Of a payment or a workflow; a batch's workflow writes up to 1,000 rows."""
FIND_RECORDS_MAX: Final = 1_000_000
"""The newest records of a topic that are searched for what no table holds: seconds for each."""
BODY_PREFIX: Final = "sha256:"
"""Begins the name that the audit gives an event without an id."""
COORDINATES: Final = TypeAdapter(Coordinates)
_FOLLOW_UP: Final = re.compile(r"(?:review|recovery)/[^/]+/(?P<payment_id>.+)")


@dataclass(frozen=True)
class Sighting:
    """One event in one place."""

    stage: Stage
    provider: str
    event_id: str | None
    event_type: str | None
    """Provider-neutral in bronze, the provider's own elsewhere."""
    received_at: datetime
    source: Coordinates
    """Its raw record; where the place doesn't say, the record that was found."""
    trace_id: str | None
    workflow_id: str | None
    more: Mapping[str, Any]
    """What else the place says: a table's columns; on a topic `found_at` and `standing`."""


@dataclass(frozen=True)
class Trace:
    """What was found."""

    wanted: str
    sightings: tuple[Sighting, ...]
    """Of one event: each place that it is in. Of a payment: its events as they happened."""
    workflows: tuple[Run, ...]
    """The workflows of these events; a payment's reviews and recoveries last."""
    decisions: tuple[Mapping[str, Any], ...]
    """What reviews and recoveries decided about the payment, in order."""
    temporal_silence: str | None
    """Why nothing is known of the workflows; `None` if Temporal answered."""


async def trace(settings: Settings, wanted: str, progress: audited_topics.Progress) -> Trace:
    """Find an event, a payment or a workflow by its id.

    Raises:
        UserError: nothing has that id (exit code 1), or a store does not answer.
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
    """The payment that all of them are about, if it is one."""
    found = {seen.more.get("payment_id") for seen in sightings} - {None}
    return found.pop() if len(found) == 1 else None


def _nowhere(wanted: str, temporal_silence: str | None) -> str:
    if "/" in wanted:
        return temporal_silence or f"Temporal knows no workflow {wanted}, and no row names it."
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
    """W3C Trace Context: `version-traceid-parentid-flags`."""
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
    """Where an event or a payment's events are that no table holds: the furthest place of each.

    Of `only` these topics; of all that there are if none is named.
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
                furthest.setdefault(raw_event(record).body_sha256, record)
            if any(record.key != id_bytes for record in found):
                break  # an event, not a payment, and its furthest place
        return [await _standing(kafka, record, temporal) for record in furthest.values()]


async def _standing(
    kafka: audited_topics.Topics, record: ConsumerRecord, temporal: Runs
) -> Sighting:
    raw = raw_event(record)
    stage = record_reader.stages_of(record.topic)[-1]
    place = TopicPartition(record.topic, record.partition)
    run, standing = None, "no model covers its type, so this is the end of its way"
    if group := settling.group_of(record.topic):
        reached = (await kafka.committed(group)).get(place, 0)
        standing = f"the {group} is past it: its logs and the audit know more"
        if reached <= record.offset:
            standing = f"the {group} has {record.offset - reached:,} records before it"
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
        {"standing": standing, "found_at": str(raw.coordinates), "body_sha256": raw.body_sha256},
    )


def _source_of(record: ConsumerRecord) -> Coordinates | None:
    """The raw record that an unmodelled one was copied from, or a later stage's JSON names."""
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
    except (LookupError, TypeError, ValueError):  # whoever wrote it
        pass
    return None
