"""What does one raw record become: an event, a dead letter, or a genuine event without a model?

Pure. Whatever the provider's code does, every record has an outcome, and so a place to go.
"""

from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import (
    BadRecord,
    FailureClass,
    FieldError,
    Rejected,
    Unmodelled,
)
from payment_pipeline.domain.headers import Headers
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.providers import Context, Provider

COMPONENT: Final = "normalizer"

Outcome: TypeAlias = PaymentEvent | BadRecord | Unmodelled


class Message(NamedTuple):
    """What is produced for a raw record, under the raw record's key."""

    topic: str
    value: bytes
    headers: Headers


def step(raw: RawEvent, provider: Provider, context: Context, now: datetime) -> Outcome:
    """Normalize one record; a defect of ours makes a dead letter and never stops a partition."""
    try:
        answer = provider.normalize(raw, context)
    except Exception as defect:  # noqa: BLE001 - any: the event is kept, the partition goes on
        message = f"the normalizer raised {type(defect).__name__}"
        answer = Rejected(FailureClass.UNPROCESSABLE, (FieldError(path="", message=message),))
    if isinstance(answer, Rejected):
        return _bad_record(raw, answer, context, now)
    return answer


def message(outcome: Outcome, raw: RawEvent, headers: Headers) -> Message:
    """Where an outcome goes, and as what; `headers` are the raw record's."""
    if isinstance(outcome, Unmodelled):
        return Message(topics.UNMODELLED, raw.body, (*headers, *_source(raw)))
    if type(outcome) is BadRecord:  # `isinstance` asks pydantic's metaclass, at half a microsecond
        return Message(topics.DLQ_VALIDATION, outcome.model_dump_json().encode(), headers)
    # Every null is a default: left out, a charge is a third shorter on the way to three consumers.
    # Its serializer writes bytes; `model_dump_json` makes a text of them first.
    value = outcome.__pydantic_serializer__.to_json(outcome, exclude_none=True)
    return Message(topics.NORMALIZED, value, headers)


def without_body(raw: RawEvent, context: Context, now: datetime) -> BadRecord:
    """The dead letter of a record whose message the broker won't take for its size."""
    error = f"its message is too large for Kafka; the {len(raw.body)} bytes are at the source"
    answer = Rejected(FailureClass.UNPROCESSABLE, (FieldError(path="", message=error),))
    return _bad_record(raw._replace(body=b""), answer, context, now)


def _bad_record(raw: RawEvent, answer: Rejected, context: Context, now: datetime) -> BadRecord:
    return BadRecord(
        failure=answer.failure,
        errors=answer.errors,
        component=COMPONENT,
        component_version=context.normalizer_version,
        provider=raw.provider,
        event_id=raw.event_id,
        provider_event_type=raw.event_type,
        source=raw.coordinates,
        body=raw.body,
        body_sha256=raw.body_sha256,
        received_at=raw.received_at,
        verdict=raw.verdict,
        traceparent=raw.traceparent,
        rejected_at=now,
    )


def _source(raw: RawEvent) -> Headers:
    at = raw.coordinates
    return (
        (names.SOURCE_TOPIC, at.topic.encode()),
        (names.SOURCE_PARTITION, str(at.partition).encode()),
        (names.SOURCE_OFFSET, str(at.offset).encode()),
    )
