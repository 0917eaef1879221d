"""The routing of a verified Stripe event: topic, key and id.

Only the fields that routing needs are read. The normalizer checks the rest. Bodies of each API
version since 2020-08-27 are read: an expandable field is an id or an object. Since the basil
versions (2025-03-31) an invoice names its payments in `payments` and its subscription in `parent`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import orjson

from payment_pipeline.domain.personal_data import is_event_type
from payment_pipeline.providers import ControlTotal, Envelope, Unparseable, Unsupported

from .object_ids import is_event_id, is_plain

RESOURCES: Final = (
    "payment_intent",
    "charge",
    "dispute",
    "refund",
    "payout",
    "invoice",
    "subscription",
    "customer",
    "early_fraud_warning",
    "review",
    "other",
)
"""The last parts of the raw topics."""

THIN: Final = "v2.core.event"
"""The `object` of a thin event, which carries no snapshot of the object that changed."""

CREATED_MAX_S: Final = 253_370_764_800
"""9999-01-01 UTC: one year before the last date of Python's and PostgreSQL's calendars."""

# The first match decides, so the longer prefix comes first. `charge.refunded` carries a charge.
_FAMILIES: Final = (
    ("charge.dispute.", "dispute"),
    ("charge.refund.", "refund"),
    ("charge.", "charge"),
    ("customer.subscription.", "subscription"),
    ("customer.", "customer"),
    ("invoice.", "invoice"),
    ("payment_intent.", "payment_intent"),
    ("payout.", "payout"),
    ("radar.early_fraud_warning.", "early_fraud_warning"),
    ("refund.", "refund"),
    ("review.", "review"),
)

# The field of the amount that the ledger adds up, by the beginning of the event type.
_CONTROL_FIELDS: Final = (
    ("charge.", "amount"),  # disputes and refunds too
    ("invoice.", "amount_due"),
    ("payment_intent.", "amount"),
    ("payout.", "amount"),
    ("refund.", "amount"),
)

INVOICE_PAYMENTS_MAX: Final = 100
"""The maximum number of an invoice's payments that are read. An event lists at most ten of them."""


def read(body: bytes) -> Envelope | Unparseable | Unsupported:
    """Reads the routing fields of a body. No input raises."""
    try:
        event = orjson.loads(body)  # refuses NaN, lone surrogates and a depth over 1,024
    except orjson.JSONDecodeError:
        return Unparseable("not_json")
    if not isinstance(event, dict):
        return Unparseable("not_an_object")
    event_id = event.get("id")
    if event.get("object") == THIN:
        return Unsupported(THIN, event_id if is_event_id(event_id) else None)
    if not is_event_id(event_id):
        return Unparseable("id_missing_or_invalid")
    event_type = event.get("type")
    if not isinstance(event_type, str) or not is_event_type(event_type):
        return Unparseable("type_missing_or_invalid")
    created = event.get("created")
    if type(created) is not int or not 0 <= created <= CREATED_MAX_S:
        return Unparseable("created_missing_or_invalid")
    subject = _subject(event)
    if subject is None:
        return Unparseable("data_object_missing_or_invalid")
    resource = resource_of(event_type)
    account = event.get("account")
    return Envelope(
        event_id=event_id,
        event_type=event_type,
        resource=resource,
        key=next(_ids(_candidates(resource, subject)), event_id),
        occurred_at=datetime.fromtimestamp(created, UTC),
        account=account if is_plain(account) else None,
    )


def control_total(body: bytes) -> ControlTotal | None:
    """The amount and the currency of the kinds with a control total; `None` for the others.

    It uses no code of the normalizer, because the ledger compares the two readings.
    """
    try:
        event = orjson.loads(body)
        subject = event["data"]["object"]
        fields = (name for prefix, name in _CONTROL_FIELDS if event["type"].startswith(prefix))
        amount, currency = subject[next(fields)], subject["currency"]
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError, StopIteration):
        return None
    if type(amount) is not int or not isinstance(currency, str):
        return None
    return ControlTotal(currency.upper(), amount)


def resource_of(event_type: str) -> str:
    """The resource of an event type: one of `RESOURCES`."""
    for prefix, resource in _FAMILIES:
        if event_type.startswith(prefix):
            return resource
    return "other"


# --- the key, which keeps the events of one payment in one partition ---


def _candidates(resource: str, subject: dict[str, Any]) -> Iterator[object]:
    """The fields that may name the payment, best first, then those that name another object."""
    if resource != "payment_intent":
        yield subject.get("payment_intent")
        if resource == "invoice":
            yield from _invoice_payments(subject, "payment_intent")
        if resource != "charge":
            yield subject.get("charge")
        if resource == "invoice":
            yield from _invoice_payments(subject, "charge")
            yield subject.get("subscription")
            yield _nested(subject, "parent", "subscription_details", "subscription")
        if resource in ("invoice", "customer", "other"):
            yield subject.get("customer")
    yield subject.get("id")


def _invoice_payments(invoice: dict[str, Any], field: str) -> Iterator[object]:
    payments = _nested(invoice, "payments", "data")
    listed = payments if isinstance(payments, list) else []
    for payment in islice(listed, INVOICE_PAYMENTS_MAX):
        yield _nested(payment, "payment", field)


def _ids(candidates: Iterable[object]) -> Iterator[str]:
    """The ids that a key may show. An event about a customer with another id has its own key."""
    for candidate in candidates:
        expanded = candidate.get("id") if isinstance(candidate, dict) else candidate
        if is_plain(expanded):
            yield expanded


def _subject(event: dict[str, Any]) -> dict[str, Any] | None:
    subject = _nested(event, "data", "object")
    return subject if isinstance(subject, dict) else None


def _nested(value: object, *path: str) -> object:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
