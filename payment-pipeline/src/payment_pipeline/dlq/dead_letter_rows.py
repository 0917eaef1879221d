"""How does a record become a dead letter, so that it can be asked for in SQL?"""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from typing import Final, TypeAlias

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from payment_pipeline.adapters.kafka import raw_event
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError
from payment_pipeline.domain.topics import DLQ_VALIDATION

Record: TypeAlias = "ConsumerRecord[bytes, bytes]"

COMPONENT: Final = "orchestrator"
COMPONENT_VERSION: Final = version("payment-pipeline")


def of_dead_letters(records: Iterable[Record]) -> list[BadRecord]:
    """The letters on a dead-letter topic, whichever of the two it is."""
    return [_validated(record) or _signed_but_unreadable(record) for record in records]


def of_refused(record: Record, failure: FailureClass, reason: str) -> BadRecord:
    """A record that bronze could not take."""
    return _letter(record, failure, reason, COMPONENT)


def _validated(record: Record) -> BadRecord | None:
    """What the normalizer wrote, or ours on what it wrote and we can't read."""
    if record.topic != DLQ_VALIDATION:
        return None
    try:
        return BadRecord.model_validate_json(record.value or b"")
    except ValidationError:
        reason = "the dead letter is no BadRecord of this version"
        return of_refused(record, FailureClass.UNPROCESSABLE, reason)


def _signed_but_unreadable(record: Record) -> BadRecord:
    """What the gateway put on `webhooks.dlq`: the body, and why in a header."""
    reason = _header(record, names.REASON) or "no event could be read"
    return _letter(record, FailureClass.UNPARSEABLE, reason, "gateway")


def _letter(record: Record, failure: FailureClass, reason: str, component: str) -> BadRecord:
    raw = raw_event(record)
    return BadRecord(
        failure=failure,
        errors=(FieldError(path="", message=reason),),
        component=component,
        component_version=COMPONENT_VERSION,
        provider=raw.provider,
        event_id=raw.event_id,
        provider_event_type=_header(record, names.CE_TYPE),
        source=raw.coordinates,
        body=raw.body,
        # Not the header's: on a topic that isn't raw, that is another body's.
        body_sha256=sha256(raw.body).hexdigest(),
        received_at=raw.received_at,
        verdict=raw.verdict,
        traceparent=raw.traceparent,
        # Of the record, so that a second try says the same.
        rejected_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )


def _header(record: Record, name: str) -> str | None:
    value = dict(record.headers).get(name)
    return value.decode("utf-8", "replace") if value else None
