"""Events of any type that have only the fields that a test gives."""

from datetime import UTC, datetime

from payment_pipeline.domain.events import PAYMENT_EVENT, PaymentEvent

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def event(event_type: str, at: datetime = NOON, **fields: object) -> PaymentEvent:
    """Make an event of this type. Fields that are not given are unknown."""
    common = {
        "kind": event_type.partition(".")[0],
        "event_type": event_type,
        "provider": "stripe",
        "provider_event_type": event_type,
        "event_id": "evt_1",
        "occurred_at": at,
        "received_at": NOON,
        "livemode": False,
        "body_sha256": "0" * 64,
        "source": {"topic": "t", "partition": 0, "offset": 0},
        "normalizer_version": "1",
    }
    return PAYMENT_EVENT.validate_python(common | fields)
