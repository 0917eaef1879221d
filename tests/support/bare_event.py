"""Events of any type that have only the fields that a test gives."""

from datetime import UTC, datetime

from payment_pipeline.domain.events import KINDS, PAYMENT_EVENT, PaymentEvent

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)

STATUSES = {
    "charge.captured": "succeeded",
    "charge.refunded": "succeeded",
    "charge.failed": "failed",
    "charge.pending": "processing",
    "charge.expired": "canceled",
    "payment.failed": "failed",
    "payment.created": "created",
    "payment.canceled": "canceled",
    "payment.requires_action": "requires_action",
    "payment.processing": "processing",
    "payment.amount_capturable_updated": "authorized",
    "dispute": "needs_response",
    "refund": "succeeded",
    "payout": "pending",
    "invoice": "open",
    "subscription": "active",
    "review": "open",
    "payment": "succeeded",
    "charge": "succeeded",
}
"""The status of an event for which the test gives none: by type, or else by kind."""


def event(event_type: str, at: datetime = NOON, **fields: object) -> PaymentEvent:
    """Make an event of this type. Required fields have a value; others are unknown if not given."""
    kind = event_type.partition(".")[0]
    required = {
        "object_id": "object_1",
        "payment_id": "pi_1",
        "amount_minor": 1_000,
        "currency": "EUR",
        "currency_exponent": 2,
        "amount_received_minor": 1_000,
        "amount_captured_minor": 1_000,
        "amount_refunded_minor": 0,
        "amount_capturable_minor": 1_000,
        "amount_paid_minor": 1_000,
    }
    model = KINDS[kind]
    status = fields.get("status", STATUSES.get(event_type) or STATUSES.get(kind))
    needed = {
        name for key in ("*", event_type, status) for name in model.required.get(str(key), ())
    }
    given = {name: value for name, value in required.items() if name in needed}
    if "currency" in given:
        given["currency_exponent"] = required["currency_exponent"]
    common = given | {
        "status": status,
        "kind": kind,
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
