"""Reads `PaymentEvent`s of the current schema version and of the one before.

During an upgrade the topic has events of both versions. Version 1 had the provider's own status, and
no fields for what version 2 requires. Only Stripe's events exist in version 1.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from .events import PAYMENT_EVENT, PaymentEvent

_OF_TYPE: Final[Mapping[str, str]] = {
    "payment.created": "created",
    "payment.requires_action": "requires_action",
    "payment.processing": "processing",
    "payment.partially_funded": "processing",
    "payment.failed": "failed",
    "payment.amount_capturable_updated": "authorized",
    "payment.succeeded": "succeeded",
    "payment.canceled": "canceled",
    "charge.expired": "canceled",
}
_RENAMED: Final[Mapping[str, str]] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "inquiry_closed",
    "charge_refunded": "refunded",
    "incomplete_expired": "expired",
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


def upgraded(older: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an event of version 1 in version 2. A status that is not clear is `unknown`.

    Migration 0012 does the same with the rows of `payment_events`.
    """
    newer = dict(older) | {"schema_version": 2}
    said = older.get("status")
    newer["provider_status"] = said
    newer["status"] = None if older.get("kind") in _WITHOUT_STATUS else _status(older, said)
    reason = newer.pop("reason", None) if older.get("kind") in ("dispute", "refund") else None
    if reason is not None:
        newer["provider_reason"] = reason
        newer["reason"] = reason if reason in ("fraudulent", "duplicate") else "unknown"
    return newer


def _status(older: Mapping[str, Any], said: Any) -> Any:
    of_type = _OF_TYPE.get(str(older.get("event_type")))
    if of_type is not None:
        return of_type
    if older.get("kind") != "charge":
        return _RENAMED.get(str(said), said or "unknown")
    if said == "pending":
        return "processing"
    if said != "succeeded":
        return "failed" if said == "failed" else "unknown"
    if older.get("captured") is False:
        return "canceled" if older.get("refunded") else "authorized"
    return "succeeded" if older.get("captured") else "unknown"


def _as_json(value: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
