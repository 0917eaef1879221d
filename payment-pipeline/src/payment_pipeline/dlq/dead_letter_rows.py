"""Turns records of the dead-letter topics, and records that bronze refuses, into `BadRecord`s."""

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
    """Read the dead letters of a dead-letter topic: `payments.validation.dlq` or `webhooks.dlq`."""
    return [_validated(record) or _signed_but_unreadable(record) for record in records]


def of_refused(record: Record, failure: FailureClass, reason: str) -> BadRecord:
    """Return the dead letter of a record that bronze could not store."""
    return _letter(record, failure, reason, COMPONENT)


def _validated(record: Record) -> BadRecord | None:
    """Read a dead letter of the normalizer; one that can't be parsed becomes a new dead letter."""
    if record.topic != DLQ_VALIDATION:
        return None
    try:
        return BadRecord.model_validate_json(record.value or b"")
    except ValidationError:
        reason = "the dead letter is not a BadRecord of this version"
        return of_refused(record, FailureClass.UNPROCESSABLE, reason)


def _signed_but_unreadable(record: Record) -> BadRecord:
    """Read a record of `webhooks.dlq`: the gateway writes the body, and the reason in a header."""
    reason = _header(record, names.REASON) or "no event could be read"
    return _letter(record, FailureClass.UNPARSEABLE, reason, "gateway")


def _letter(record: Record, failure: FailureClass, reason: str, component: str) -> BadRecord:
    raw = raw_event(record)
    digest = sha256(raw.body).hexdigest()
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
        # Computed: on a topic that is not raw, the headers have the hashes of another body.
        body_sha256=digest,
        identity_sha256=raw.identity_sha256 if raw.body_sha256 == digest else None,
        received_at=raw.received_at,
        verdict=raw.verdict,
        traceparent=raw.traceparent,
        # The time of the record, so that a second attempt returns the same value.
        rejected_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )


def _header(record: Record, name: str) -> str | None:
    value = dict(record.headers).get(name)
    return value.decode("utf-8", "replace") if value else None
