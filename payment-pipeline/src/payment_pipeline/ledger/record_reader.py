"""Reads from a Kafka record what the ledger needs: the event, its stages and its receipt time."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from aiokafka import ConsumerRecord

from payment_pipeline.adapters.kafka import raw_event
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import CONTROL_KINDS
from payment_pipeline.providers import Envelope, providers

from .stage_tally import UNSTATED, Money, Seen
from .stages import Stage

Kind = TypeVar("Kind", str, int)


class Read(NamedTuple):
    """One record, as far as the ledger needs it."""

    seen: Seen
    received_at: datetime


def stages_of(topic: str) -> tuple[Stage, ...]:
    """Return the stages that count the records of a topic; none for a foreign topic."""
    if topic == topics.DLQ_WEBHOOKS:
        return Stage.RAW, Stage.REJECTED
    if topic.startswith("webhooks."):
        return (Stage.RAW,)
    return _STAGES.get(topic, ())


def read(record: ConsumerRecord) -> Read:
    """Read a record of any topic of the pipeline. Never raises, whatever the record holds."""
    reader = _READERS.get(record.topic)
    if reader is not None:
        try:
            value = orjson.loads(record.value or b"")
            if isinstance(value, dict):
                return reader(value)
        except (ValueError, LookupError, TypeError):  # the record breaks the contract of its topic
            pass
    return _unchanged(record)


def control_total(provider: str, body: bytes) -> Money | None:
    """Return the money of a body, read by the provider's control total, not by the normalizer."""
    known = providers().get(provider)
    total = known.control_total(body) if known else None
    return Money(total.currency, total.amount_minor) if total else None


def kept_total(provider: str, body: bytes) -> Money | None:
    """Return the control total of a dead letter's body. Bodies that are too large are not kept."""
    return control_total(provider, body) if body else UNSTATED


def identity_of(provider: str, body: bytes, stated: str | None) -> str | None:
    """Return the identity of a body, computed from its bytes by the provider.

    Args:
        provider: the provider's name.
        body: the signed bytes; empty if they are not kept.
        stated: the identity that the record or row states. Without bytes it is all there is. A
            record of an earlier version states none, and its rows state none either: the result is
            then `None`.
    """
    if stated is None or not body:
        return stated
    known = providers().get(provider)
    envelope = known.read(body) if known else None
    return envelope.identity_sha256 if isinstance(envelope, Envelope) else None


def money_of(kind: str, amount_minor: int | None, currency: str | None) -> Money | None:
    """Return the money of a normalized event or a row, if the control total counts its kind."""
    if kind not in CONTROL_KINDS or amount_minor is None or currency is None:
        return None
    return Money(currency, amount_minor)


def _unchanged(record: ConsumerRecord) -> Read:
    """Read a record that holds the signed bytes.

    The hashes are computed from the bytes, because a header proves nothing.
    """
    raw = raw_event(record)
    seen = Seen(
        raw.provider,
        raw.event_id,
        sha256(raw.body).hexdigest(),
        control_total(raw.provider, raw.body),
        identity_of(raw.provider, raw.body, raw.identity_sha256),
    )
    return Read(seen, raw.received_at)


def _normalized(event: dict[str, Any]) -> Read:
    amount_minor, currency = (
        event.get("amount_minor"),
        event.get("currency"),
    )  # the topic leaves out nulls
    if amount_minor is not None:
        amount_minor, currency = _of(int, amount_minor), _of(str, currency)
    seen = Seen(
        _of(str, event["provider"]),
        _of(str, event["event_id"]),
        _digest(event["body_sha256"]),
        money_of(_of(str, event["kind"]), amount_minor, currency),
        _stated_identity(event),
    )
    return Read(seen, _instant(event["received_at"]))


def _rejected(bad: dict[str, Any]) -> Read:
    provider, event_id = _of(str, bad["provider"]), bad["event_id"]
    body, body_sha256 = b64decode(bad["body"]), _digest(bad["body_sha256"])
    seen = Seen(
        provider,
        None if event_id is None else _of(str, event_id),
        sha256(body).hexdigest() if body else body_sha256,
        kept_total(provider, body),
        identity_of(provider, body, _stated_identity(bad)),
    )
    return Read(seen, _instant(bad["received_at"]))


def _stated_identity(value: dict[str, Any]) -> str | None:
    """Return the identity that a record states; `None` for a record of an earlier version."""
    stated = value.get("identity_sha256")
    return None if stated is None else _digest(stated)


def _digest(value: object) -> str:
    text = _of(str, value)
    if len(bytes.fromhex(text)) != sha256().digest_size:
        raise ValueError("not a SHA-256")
    return text


def _of(kind: type[Kind], value: object) -> Kind:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} is not {kind.__name__}")
    return value


def _instant(text: object) -> datetime:
    at = datetime.fromisoformat(_of(str, text))
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return at


_STAGES: Final[Mapping[str, tuple[Stage, ...]]] = {
    topics.NORMALIZED: (Stage.NORMALIZED,),
    topics.DLQ_VALIDATION: (Stage.REJECTED,),
    topics.UNMODELLED: (Stage.UNMODELLED,),
}
_READERS: Final[Mapping[str, Callable[[dict[str, Any]], Read]]] = {
    topics.NORMALIZED: _normalized,
    topics.DLQ_VALIDATION: _rejected,
}
