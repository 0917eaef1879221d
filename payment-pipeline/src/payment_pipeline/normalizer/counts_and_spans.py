"""Counts, log lines and spans of a batch, made after Kafka has acknowledged the whole batch."""

from collections import Counter as Tally
from collections.abc import Sequence
from typing import Final

import structlog

from payment_pipeline.domain import topics
from payment_pipeline.telemetry import of_event, traces

from . import normalizer_metrics as metrics
from .batch_publisher import Work

log = structlog.get_logger()

OUTCOMES: Final = {
    topics.NORMALIZED: "normalized",
    topics.DLQ_VALIDATION: "rejected",
    topics.UNMODELLED: "unmodelled",
}
"""The outcome of a record, by the topic of the message that it became."""


def count(works: Sequence[Work]) -> None:
    """Count records by outcome and kind; count and log each dead letter."""
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
    """Record one span for each event, from the poll that read it (`began_ns`, Unix) until now."""
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
