"""Dead letters for tests, each from a different raw record."""

from datetime import UTC, datetime
from hashlib import sha256

from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError
from payment_pipeline.domain.raw import Coordinates

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def letter(offset: int, body: bytes = b"{}", **fields: object) -> BadRecord:
    given = {
        "failure": FailureClass.INVALID,
        "errors": (FieldError(path="data.object.amount", message="not an integer"),),
        "component": "normalizer",
        "component_version": "1",
        "provider": "stripe",
        "event_id": f"evt_{offset}",
        "provider_event_type": "charge.succeeded",
        "source": Coordinates(topic="webhooks.stripe.charge", partition=0, offset=offset),
        "body": body,
        "body_sha256": sha256(body).hexdigest(),
        "received_at": AT,
        "verdict": "verified:stripe:abc",
        "rejected_at": AT,
    }
    return BadRecord.model_validate(given | fields)
