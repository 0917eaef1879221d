"""The routing of a verified Stripe event: topic, key and id.

Only the fields that routing needs are read. The normalizer checks the rest. Bodies of each API
version since 2020-08-27 are read: an expandable field is an id or an object. Since the basil
versions (2025-03-31) an invoice names its payments in `payments` and its subscription in `parent`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
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

_IDENTITY_OF_EVENT: Final = ("id", "type", "created", "livemode", "account")

# The fields whose names and values are the same in every API version. `amount_refunded` is none of
# them: its meaning changed in 2025-03-31.basil.
_IDENTITY_FIELDS: Final = (
    *("id", "object", "currency", "amount", "amount_captured", "amount_received"),
    *("amount_capturable", "amount_due", "amount_paid", "amount_remaining", "total"),
    *("captured", "reason", "failure_code"),
)
_IDENTITY_REFERENCES: Final = ("customer",)

# Statuses that have another name in old API versions: before 2015-02-18, and before 2019-02-11.
_RENAMED: Final[Mapping[tuple[object, object], str]] = {
    ("charge", "paid"): "succeeded",
    ("payment_intent", "requires_source"): "requires_payment_method",
    ("payment_intent", "requires_source_action"): "requires_action",
}

ACCOUNT_PREFIX: Final = "acct_"

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
    account = account if is_plain(account) else merchant_of(event.get("context"))
    return Envelope(
        event_id=event_id,
        event_type=event_type,
        resource=resource,
        key=next(_ids(_candidates(resource, subject)), event_id),
        occurred_at=datetime.fromtimestamp(created, UTC),
        account=account,
        identity_sha256=_identity_sha256(event, subject),
    )


def merchant_of(context: object) -> str | None:
    """The account in the `context` of an organization's event.

    A context is a path of ids, from the organization to the account, e.g. `org_1/acct_2`. Source:
    Stripe's changelog, 2025-04-30.basil, "Adds context to the events of an organization".
    """
    last = context.rpartition("/")[2] if isinstance(context, str) else ""
    return last if last.startswith(ACCOUNT_PREFIX) and is_plain(last) else None


def _identity_sha256(event: dict[str, Any], subject: dict[str, Any]) -> str:
    """The hash of what makes two deliveries the same event.

    Stripe sends one event to several endpoints. Each delivery has another `pending_webhooks`. An
    endpoint of another API version gets another rendering of the object, and `context` only since
    2025-04-30.basil. The fields here are the same in all deliveries. They say what the event is
    about, and its money. So a body with another amount, status, currency or customer has another
    identity.
    """
    of_event = [_plain(event.get(name)) for name in _IDENTITY_OF_EVENT]
    of_subject = [_plain(subject.get(name)) for name in _IDENTITY_FIELDS]
    related = [next(_ids([subject.get(name)]), None) for name in _IDENTITY_REFERENCES]
    status = _plain(subject.get("status"))
    status = _RENAMED.get((_plain(subject.get("object")), status), status)
    stated = orjson.dumps([*of_event, *of_subject, status, *related])
    return sha256(stated).hexdigest()


def _plain(value: object) -> str | int | float | None:
    """The value; `None` for a list or an object, which no field of the identity is at Stripe."""
    return value if isinstance(value, str | int | float) else None


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
