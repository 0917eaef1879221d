"""Decides what to send for a dead letter, or why nothing is sent. Pure.

The normalizer of this version checks the body before it is sent. A body that would be rejected
again is not sent, so it leaves no second dead letter.
"""

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from jsonpatch import JsonPatch

from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import FailureClass, FieldError, Rejected, Unmodelled
from payment_pipeline.domain.headers import Headers
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.providers import (
    Context,
    Envelope,
    Provider,
    Unparseable,
    Unsupported,
    event_headers,
    providers,
)

from . import json_patch as patches

JUDGE: Final = Context(pseudonym_key=b"judged only", normalizer_version="judge")
"""Context of the check. Its event is thrown away, so the check needs no real key."""


class Outcome(StrEnum):
    """The outcome of a dead letter in a redrive."""

    READY = "ready"
    """In a dry run: the event would be sent."""
    WRITTEN = "written"
    ALREADY_THERE = "already_there"
    UNMODELLED = "unmodelled"
    REJECTED = "rejected_again"
    CONFLICT = "conflict"
    """Bronze keeps another body with the same event id."""
    NOT_PATCHED = "not_patched"
    BODY_LOST = "body_lost"
    """The body was too large to embed, and retention deleted its record."""
    UNDER_WAY = "under_way"
    """Sent, and in no table yet. The same command again settles it."""
    CLOSED = "closed_meanwhile"
    """Another operator closed the dead letter."""


SETTLED: Final = frozenset(
    {Outcome.WRITTEN, Outcome.ALREADY_THERE, Outcome.UNMODELLED, Outcome.CLOSED}
)
"""The outcomes that close a dead letter."""


class Letter(NamedTuple):
    """An open dead letter of the quarantine."""

    id: int
    failure: str
    provider: str
    event_id: str | None
    body: bytes
    body_sha256: str
    identity_sha256: str | None
    verdict: str
    received_at: datetime
    traceparent: str | None
    source: Coordinates


class Ready(NamedTuple):
    """The record to send for a dead letter."""

    letter: Letter
    topic: str
    key: bytes
    body: bytes
    headers: Headers
    event_id: str
    body_sha256: str
    identity_sha256: str | None
    """Of the body that is sent, so of the patched one if there is a patch."""
    unmodelled: bool
    """No model covers the event: its destination is `payments.unmodelled`, not a table."""


class Held(NamedTuple):
    """A dead letter for which nothing is sent, and why."""

    letter: Letter
    outcome: Outcome
    reason: str


def plan(letter: Letter, patch: JsonPatch | None, body_bytes_max: int) -> Ready | Held:
    """Decide about one dead letter.

    Args:
        letter: the dead letter with its body.
        patch: is applied to the body first. It can't change the id of the event.
        body_bytes_max: the largest body that the gateway accepts.
    """
    provider = providers().get(letter.provider)
    if provider is None:
        return Held(letter, Outcome.REJECTED, "no provider of that name")
    if sha256(letter.body).hexdigest() != letter.body_sha256:
        reason = "the body is not the one that was signed"
        if not letter.body:
            reason = "the body was too large to embed, and Kafka no longer has its record"
        return Held(letter, Outcome.BODY_LOST, reason)
    body = letter.body
    if patch is not None:
        patched = patches.apply(patch, letter.body)
        if isinstance(patched, patches.NotPatched):
            return Held(letter, Outcome.NOT_PATCHED, patched.reason)
        body = patched
    if len(body) > body_bytes_max:
        return Held(
            letter, Outcome.NOT_PATCHED, f"the patched body exceeds {body_bytes_max:,} bytes"
        )
    return _judged(letter, provider, body)


def _judged(letter: Letter, provider: Provider, body: bytes) -> Ready | Held:
    envelope = provider.read(body)
    if isinstance(envelope, Unsupported):
        return Held(letter, Outcome.REJECTED, "a thin event, which carries no object")
    if isinstance(envelope, Unparseable):
        return Held(letter, Outcome.REJECTED, envelope.reason)
    if letter.event_id is not None and envelope.event_id != letter.event_id:
        return Held(letter, Outcome.NOT_PATCHED, "an event's id can't be patched")
    digest = sha256(body).hexdigest()
    answer = _normalized(letter, provider, envelope, body, digest)
    if isinstance(answer, Rejected):
        why = f"{answer.failure}, {answer.errors[0].line}"
        return Held(letter, Outcome.REJECTED, why)
    return Ready(
        letter,
        topics.raw(provider.name, envelope.resource),
        envelope.key.encode(),
        body,
        event_headers(provider.name, envelope) + _receipt(letter, digest),
        envelope.event_id,
        digest,
        envelope.identity_sha256,
        isinstance(answer, Unmodelled),
    )


def _normalized(
    letter: Letter, provider: Provider, envelope: Envelope, body: bytes, digest: str
) -> PaymentEvent | Rejected | Unmodelled:
    raw = RawEvent(
        letter.provider,
        letter.source,
        body,
        envelope.event_id,
        digest,
        letter.received_at,
        letter.verdict,
        letter.traceparent,
        envelope.event_type,
        envelope.identity_sha256,
    )
    try:
        return provider.normalize(raw, JUDGE)
    except Exception as defect:  # noqa: BLE001 - a defect of the normalizer must not end the redrive
        message = f"the normalizer raised {type(defect).__name__}"
        error = FieldError(path="", message=message)
        return Rejected(FailureClass.UNPROCESSABLE, (error,))


def _receipt(letter: Letter, digest: str) -> Headers:
    """Return the headers of the first receipt: when the event was received and how verified."""
    headers: Headers = (
        (names.BODY_SHA256, digest.encode()),
        (names.RECEIVED_AT, letter.received_at.isoformat(timespec="microseconds").encode()),
        (names.VERDICT, letter.verdict.encode()),
        (names.REDRIVEN_FROM, str(letter.source).encode()),
    )
    if letter.traceparent:
        headers += ((names.TRACEPARENT, letter.traceparent.encode()),)
    if digest != letter.body_sha256:
        headers += ((names.PATCHED_FROM, letter.body_sha256.encode()),)
    return headers
