"""What is to be sent for a dead letter, or why is there no use in it? Pure.

The provider's code of this version judges the body before it goes out, so that what would only be
rejected again stays where it is and leaves no second letter.
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
"""What the judgement needs: its event is thrown away, so the real key has no business here."""


class Outcome(StrEnum):
    """What became of a letter, as a redrive says it."""

    READY = "ready"
    """In a dry run: it would be sent."""
    WRITTEN = "written"
    ALREADY_THERE = "already_there"
    UNMODELLED = "unmodelled"
    REJECTED = "rejected_again"
    CONFLICT = "conflict"
    """Bronze has its id with another body, and keeps it."""
    NOT_PATCHED = "not_patched"
    BODY_LOST = "body_lost"
    """Too large for a letter, and Kafka's retention has taken the record that had it."""
    UNDER_WAY = "under_way"
    """Sent, and in no table yet: the same call again settles it."""
    CLOSED = "closed_meanwhile"
    """Somebody else closed it."""


SETTLED: Final = frozenset(
    {Outcome.WRITTEN, Outcome.ALREADY_THERE, Outcome.UNMODELLED, Outcome.CLOSED}
)
"""With these the letter is closed."""


class Letter(NamedTuple):
    """An open letter of the quarantine."""

    id: int
    failure: str
    provider: str
    event_id: str | None
    body: bytes
    body_sha256: str
    verdict: str
    received_at: datetime
    traceparent: str | None
    source: Coordinates


class Ready(NamedTuple):
    """What to send for a letter."""

    letter: Letter
    topic: str
    key: bytes
    body: bytes
    headers: Headers
    event_id: str
    body_sha256: str
    unmodelled: bool
    """No model covers it: it will end on `payments.unmodelled`, in no table."""


class Held(NamedTuple):
    """Why nothing is sent for a letter."""

    letter: Letter
    outcome: Outcome
    reason: str


def plan(letter: Letter, patch: JsonPatch | None, body_bytes_max: int) -> Ready | Held:
    """Judge one letter whose body is at hand.

    Args:
        letter: as the quarantine has it.
        patch: is applied to the body first; the id of an event that has one can't be changed.
        body_bytes_max: what the gateway would take.
    """
    provider = providers().get(letter.provider)
    if provider is None:
        return Held(letter, Outcome.REJECTED, "no provider of that name")
    if sha256(letter.body).hexdigest() != letter.body_sha256:
        reason = "the bytes are not those that were signed"
        if not letter.body:
            reason = "too large for a letter, and Kafka no longer has the record that held it"
        return Held(letter, Outcome.BODY_LOST, reason)
    body = letter.body
    if patch is not None:
        patched = patches.apply(patch, letter.body)
        if isinstance(patched, patches.NotPatched):
            return Held(letter, Outcome.NOT_PATCHED, patched.reason)
        body = patched
    if len(body) > body_bytes_max:
        return Held(letter, Outcome.NOT_PATCHED, f"over {body_bytes_max:,} bytes, patched")
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
    )
    try:
        return provider.normalize(raw, JUDGE)
    except Exception as defect:  # noqa: BLE001 - any: it is the letter's, not ours
        message = f"the normalizer raised {type(defect).__name__}"
        error = FieldError(path="", message=message)
        return Rejected(FailureClass.UNPROCESSABLE, (error,))


def _receipt(letter: Letter, digest: str) -> Headers:
    """The first receipt's, whenever this is sent: when it came, and how it was verified."""
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
