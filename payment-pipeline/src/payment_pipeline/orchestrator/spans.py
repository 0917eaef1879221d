"""What does an event's own trace say of the range that it came in? One span a step, with a link.

A range is one workflow of up to 1,000 events, so its activities' spans are in the range's trace.
Who follows one payment sees when it was scored and written, and follows the link for the rest.
"""

from collections.abc import Sequence

from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.bronze.writer import Written
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import BadRecord
from payment_pipeline.telemetry import traces


def scored(events: Sequence[PaymentEvent], began_ns: int, *, available: bool) -> None:
    """Events that inference was asked about; `available` if it answered."""
    tracer = traces.tracer()
    if not tracer.recording:
        return
    outcome = "answered" if available else "unavailable"
    for event in events:
        about = {"payments.event_id": event.event_id, "payments.outcome": outcome}
        tracer.record("score", event.traceparent, began_ns, about, failed=not available)


def written(done: Written, workflow_id: str, began_ns: int) -> None:
    """Events by where each of them ended."""
    if not traces.tracer().recording:
        return
    _written(done.inserted, "inserted", workflow_id, began_ns)
    _written(done.duplicates, "duplicate", workflow_id, began_ns)
    _written(done.conflicts, "conflict", workflow_id, began_ns)
    _written([row for row, _ in done.refused], "refused", workflow_id, began_ns)


def quarantined(letters: Sequence[BadRecord], workflow_id: str, began_ns: int) -> None:
    """Dead letters that are in the quarantine now."""
    tracer = traces.tracer()
    if not tracer.recording:
        return
    for letter in letters:
        about = {
            "payments.event_id": letter.event_id or "",
            "payments.failure": letter.failure.value,
            "payments.workflow_id": workflow_id,
        }
        tracer.record("quarantine", letter.traceparent, began_ns, about)


def _written(rows: Sequence[ScoredEvent], outcome: str, workflow_id: str, began_ns: int) -> None:
    tracer = traces.tracer()
    for event, _, status in rows:
        about = {
            "payments.event_id": event.event_id,
            "payments.event_type": event.event_type,
            "payments.payment_id": event.payment_id or "",
            "payments.outcome": outcome,
            "payments.inference_status": status.value,
            "payments.workflow_id": workflow_id,
            "db.system.name": "postgresql",
            "db.collection.name": "payment_events",
        }
        tracer.record("write bronze", event.traceparent, began_ns, about)
