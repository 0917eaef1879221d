"""What is said of a batch once Kafka has all of it: counts, and each event's span."""

from collections import Counter as Tally
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog
from aiokafka import ConsumerRecord

from payment_pipeline.domain import topics
from payment_pipeline.domain.failures import BadRecord
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.telemetry import of_event, traces

from . import metrics
from .step import Message, Outcome

log = structlog.get_logger()

OUTCOMES: Final = {
    topics.NORMALIZED: "normalized",
    topics.DLQ_VALIDATION: "rejected",
    topics.UNMODELLED: "unmodelled",
}


class Work(NamedTuple):
    """One record on its way."""

    record: ConsumerRecord[bytes, bytes]
    raw: RawEvent
    outcome: Outcome
    message: Message


def count(works: Sequence[Work]) -> None:
    """Records by outcome and kind, dead letters by class, and a line of each of these."""
    seen = Tally(
        (OUTCOMES[work.message.topic], getattr(work.outcome, "kind", "")) for work in works
    )
    for (outcome, kind), records in seen.items():
        metrics.RECORDS.labels(outcome, kind).inc(records)
    for work in works:
        if work.message.topic == topics.DLQ_VALIDATION and isinstance(work.outcome, BadRecord):
            metrics.DEAD_LETTERS.labels(work.outcome.failure).inc()
            at = work.raw.coordinates
            where = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
            failure = work.outcome.failure.value
            log.warning("dead_letter", **of_event(work.raw), **where, failure=failure)


def trace(works: Sequence[Work], began_ns: int) -> None:
    """One span an event, from the poll that brought it to the commit behind it."""
    tracer = traces.tracer()
    if not tracer.recording:
        return
    for work in works:
        raw = work.raw
        failure = work.outcome.failure if isinstance(work.outcome, BadRecord) else ""
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
                "payments.failure": failure,
            },
        )
