"""What is said of a batch once Kafka has all of it: counts, and each event's span."""

from collections import Counter as Tally
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog
from aiokafka import ConsumerRecord

from payment_pipeline.domain import topics
from payment_pipeline.domain.failures import BadRecord, FailureClass
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.telemetry import of_event, traces

from . import metrics
from .step import Message, Outcome, message

log = structlog.get_logger()

OUTCOMES: Final = {
    topics.NORMALIZED: "normalized",
    topics.DLQ_VALIDATION: "rejected",
    topics.UNMODELLED: "unmodelled",
}


class Work(NamedTuple):
    """One record on its way.

    Without the event that it became: a batch of them is megabytes, which would be fetched from
    memory once more for each record that is normalized behind it.
    """

    record: ConsumerRecord[bytes, bytes]
    raw: RawEvent
    message: Message
    kind: str
    """Of an event; empty for what became none."""
    failure: FailureClass | None
    """Of a dead letter."""


def work(record: ConsumerRecord[bytes, bytes], raw: RawEvent, outcome: Outcome) -> Work:
    """What is to be done for an outcome, and what will be said of it."""
    failure = outcome.failure if type(outcome) is BadRecord else None
    said = message(outcome, raw, record.headers)
    return Work(record, raw, said, getattr(outcome, "kind", ""), failure)


def count(works: Sequence[Work]) -> None:
    """Records by outcome and kind, dead letters by class, and a line of each of these."""
    seen = Tally((OUTCOMES[work.message.topic], work.kind) for work in works)
    for (outcome, kind), records in seen.items():
        metrics.RECORDS.labels(outcome, kind).inc(records)
    for work in works:
        if work.failure is not None:
            metrics.DEAD_LETTERS.labels(work.failure).inc()
            at = work.raw.coordinates
            where = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
            log.warning("dead_letter", **of_event(work.raw), **where, failure=work.failure.value)


def trace(works: Sequence[Work], began_ns: int) -> None:
    """One span an event, from the poll that brought it to the commit behind it."""
    tracer = traces.tracer()
    if not tracer.recording:
        return
    for work in works:
        raw = work.raw
        tracer.record(
            "normalize",
            raw.traceparent,
            began_ns,
            {
                "messaging.system": "kafka",
                "messaging.destination.name": raw.coordinates.topic,
                "messaging.destination.partition.id": str(raw.coordinates.partition),
                "messaging.kafka.offset": raw.coordinates.offset,
                "payments.event_id": raw.event_id or "",
                "payments.outcome": OUTCOMES[work.message.topic],
                "payments.failure": work.failure or "",
            },
        )
