"""What Stripe's bodies become: the fields of the event, or the failure and its paths."""

from typing import Any

from payment_pipeline.domain.events import EventBase
from payment_pipeline.domain.failures import FailureClass, Rejected
from support.pairs import as_json, normalize
from support.stripe_bodies import body


def fields(event_type: str, found: object, **changes: object) -> dict[str, Any]:
    """The event of a body. The test fails if the body gives no event."""
    return fields_of(body(event_type, found, **changes))


def fields_of(sent: bytes) -> dict[str, Any]:
    """The event of a whole body. The test fails if the body gives no event."""
    ended = normalize(sent)
    assert isinstance(ended, EventBase), ended
    return as_json(ended)


def rejected(sent: bytes) -> tuple[FailureClass, set[str]]:
    """The failure and the paths of a rejected body. The test fails if it is not rejected."""
    ended = normalize(sent)
    assert isinstance(ended, Rejected), ended
    return ended.failure, {error.path for error in ended.errors}
