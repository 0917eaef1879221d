"""The pure step from one raw record to its outcome and the message to produce.

The outcome is an event, a dead letter, or a genuine event that no model covers. Every record has an
outcome, also when the provider's code raises.
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
    """The message to produce for a raw record, under the raw record's key."""

    topic: str
    value: bytes
    headers: Headers


class Step(NamedTuple):
    """The result for one raw record."""

    outcome: Outcome
    message: Message


def step(
    raw: RawEvent, headers: Headers, provider: Provider, context: Context, now: datetime
) -> Step:
    """Normalize one record.

    Args:
        raw: the record.
        headers: the record's headers, which its message carries on.
        provider: the provider that sent the webhook.
        context: the pseudonym key and the version to write into events.
        now: the time of rejection, if the record is rejected.
    """
    outcome = normalize(raw, provider, context, now)
    return Step(outcome, message(outcome, raw, headers))


def normalize(raw: RawEvent, provider: Provider, context: Context, now: datetime) -> Outcome:
    """Return the outcome of one record, without its message.

    An exception in the provider's code becomes a dead letter, so it never stops a partition.
    """
    try:
        answer = provider.normalize(raw, context)
    except Exception as defect:  # noqa: BLE001 - any defect: the event is kept, the partition goes on
        error = f"the normalizer raised {type(defect).__name__}"
        answer = Rejected(FailureClass.UNPROCESSABLE, (FieldError(path="", message=error),))
    if isinstance(answer, Rejected):
        return _bad_record(raw, answer, context, now)
    return answer


def message(outcome: Outcome, raw: RawEvent, headers: Headers) -> Message:
    """Return the message for an outcome; `headers` are the raw record's."""
    if isinstance(outcome, Unmodelled):
        return Message(topics.UNMODELLED, raw.body, (*headers, *_source(raw)))
    # `isinstance` would call pydantic's metaclass, which takes half a microsecond.
    if type(outcome) is BadRecord:
        return Message(topics.DLQ_VALIDATION, outcome.model_dump_json().encode(), headers)
    # Nulls are left out, because null is the default of every field that allows it. A charge is
    # then a third smaller, and three consumers read it. The serializer writes bytes directly;
    # `model_dump_json` would make a string first.
    value = outcome.__pydantic_serializer__.to_json(outcome, exclude_none=True)
    return Message(topics.NORMALIZED, value, headers)


def without_body(raw: RawEvent, headers: Headers, context: Context, now: datetime) -> Step:
    """Return the dead letter of a record that is too large for Kafka, without the record's body."""
    error = f"its message is too large for Kafka; the {len(raw.body)} bytes are at the source"
    answer = Rejected(FailureClass.UNPROCESSABLE, (FieldError(path="", message=error),))
    letter = _bad_record(raw._replace(body=b""), answer, context, now)
    return Step(letter, message(letter, raw, headers))


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
        identity_sha256=raw.identity_sha256,
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
