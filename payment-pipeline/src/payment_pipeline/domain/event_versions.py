"""Reads `PaymentEvent`s of the current schema version and of the one before.

During an upgrade the topic has events of both versions. Version 1 had the provider's own words for
statuses and reasons, and no fields for what version 2 requires. Only Stripe's events exist in
version 1.
"""

from collections.abc import Mapping
from typing import Final, get_args

import orjson
from pydantic import ValidationError

from . import event_fields
from .declines import DeclineReason, classified
from .events import PAYMENT_EVENT, PaymentEvent

UNKNOWN: Final = "unknown"

_OF_TYPE: Final[Mapping[str, str]] = {
    **event_fields.STATED_STATUSES,
    "review.opened": "open",
    "review.closed": "closed",
}
"""The status that an event type states. A review had no status in version 1."""
_RENAMED: Final[Mapping[str, str]] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "inquiry_closed",
    "charge_refunded": "refunded",
    "incomplete_expired": "expired",
}
_STATUSES: Final[Mapping[object, tuple[object, ...]]] = {
    "dispute": get_args(event_fields.DisputeStatus),
    "refund": get_args(event_fields.RefundStatus),
    "payout": get_args(event_fields.PayoutStatus),
    "invoice": get_args(event_fields.InvoiceStatus),
    "subscription": get_args(event_fields.SubscriptionStatus),
}
"""The kinds whose statuses are Stripe's words, or are in `_RENAMED`."""
_REASONS: Final[Mapping[object, tuple[object, ...]]] = {
    "dispute": get_args(event_fields.DisputeReason),
    "refund": get_args(event_fields.RefundReason),
}
_WITHOUT_STATUS: Final = frozenset({"customer", "fraud_warning"})


def read(value: bytes) -> PaymentEvent:
    """Reads an event of the topic `payments.normalized`.

    Raises:
        ValidationError: it is an event of neither version.
    """
    try:
        return PAYMENT_EVENT.validate_json(value)
    except ValidationError:
        older = _as_json(value)
        if older.get("schema_version") != 1:
            raise
        return PAYMENT_EVENT.validate_python(upgraded(older))


def upgraded(older: Mapping[str, object]) -> dict[str, object]:
    """The fields of an event of version 1 in version 2. A status that is not clear is `unknown`.

    Migration 0012 does the same with the statuses of the rows of `payment_events`.
    """
    kind, said = older.get("kind"), older.get("status")
    newer = dict(older) | {"schema_version": 2, "provider_status": said}
    newer["status"] = None if kind in _WITHOUT_STATUS else _status(older, said)
    if kind in _REASONS and (reason := newer.pop("reason", None)) is not None:
        newer["provider_reason"] = reason
        newer["reason"] = reason if reason in _REASONS[kind] else UNKNOWN
    decline = older.get("decline")
    if isinstance(decline, dict):
        newer["decline"] = decline | _declined_for(decline)
    return newer


def _status(older: Mapping[str, object], said: object) -> str:
    of_type = _OF_TYPE.get(str(older.get("event_type")))
    if of_type is not None:
        return of_type
    if older.get("kind") == "charge":
        return _charge_status(older, said)
    status = _RENAMED.get(str(said), str(said))
    return status if status in _STATUSES.get(older.get("kind"), ()) else UNKNOWN


def _charge_status(older: Mapping[str, object], said: object) -> str:
    if said == "pending":
        return "processing"
    if said == "failed":
        return "failed"
    captured = older.get("captured")
    if said != "succeeded" or captured is None:
        return UNKNOWN
    if captured:
        return "succeeded"
    return "canceled" if older.get("refunded") else "authorized"


def _declined_for(decline: Mapping[str, object]) -> dict[str, object]:
    """The reason of a decline, where Stripe's code has the reason's own name."""
    codes = (str(decline.get(name)) for name in ("decline_code", "code"))
    named = next((code for code in codes if code in set(DeclineReason)), DeclineReason.UNKNOWN)
    return classified(DeclineReason(named))


def _as_json(value: bytes) -> dict[str, object]:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
