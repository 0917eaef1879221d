"""Makes a `PaymentEvent` of a Stripe event of any API version.

No input raises: each error is a value with its path in the body. A third of the time goes to JSON,
a fifth to the Pydantic model, and the rest to reading about forty fields.
"""

import re
from typing import Final

import orjson

from payment_pipeline.domain.event_parts import Previous
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import FailureClass, FieldError, Rejected, Unmodelled
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.providers import Context
from payment_pipeline.providers.reader import Fields, Json, Reader, Reading, validated

from .envelope import merchant_of
from .event_types import MODELLED, Kind
from .object_ids import OWN_FORMAT, is_event_id
from .rendering import Rendering

ERRORS_MAX: Final = 20
"""The maximum number of strings with U+0000 that a dead letter names."""
PATH_CHARACTERS_MAX: Final = 500
FREE_FORM: Final = "metadata"
"""A field with keys that the merchant chose."""
UNNAMED: Final = "*"
"""Replaces a key in a path that Stripe didn't choose: it may be an address or a name."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
"""Matches Stripe's field names. Positions in a list are digits."""


def normalize(raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
    """Makes one `PaymentEvent` of a raw record, or says why that is not possible."""
    body = _parse(raw.body)
    if isinstance(body, Rejected):
        return body
    reading = Reading(context.pseudonym_key, OWN_FORMAT)
    event = Reader(body, "", reading)
    name = event.event_type("type")
    event_id = event.raw_text("id", required=True)
    if event_id is not None and not is_event_id(event_id):
        event.fault("id", "is not the id of an event")
        event_id = None
    if name is None or event_id is None:
        return reading.rejected()._replace(failure=FailureClass.UNPARSEABLE)
    if name not in MODELLED:
        return Unmodelled(name)
    kind, event_type = MODELLED[name]
    found = event.child("data").child("object")
    if not found:
        event.fault("data.object", "is missing")
        return reading.rejected()
    rendering = Rendering(
        event_type, event.moment("created", required=True), event.code("api_version")
    )
    fields: Fields = {
        "provider": raw.provider,
        "event_id": event_id,
        "event_type": event_type,
        "provider_event_type": name,
        "occurred_at": rendering.occurred_at,
        "received_at": raw.received_at,
        "api_version": rendering.api_version,
        "livemode": event.flag("livemode", required=True),
        "merchant_id": event.identifier("account") or merchant_of(event.raw_text("context")),
        "body_sha256": raw.body_sha256,
        "identity_sha256": raw.identity_sha256,
        "source": raw.coordinates,
        "traceparent": raw.traceparent,
        "normalizer_version": context.normalizer_version,
    }
    fields.update(_object(found, kind, rendering))
    if not reading.faults and (before := event.child("data").expanded("previous_attributes")):
        fields["previous"] = _previous(found, before, kind, rendering, fields)
    return reading.rejected() if reading.faults else validated(kind.model, fields)


def _object(found: Reader, kind: Kind, rendering: Rendering) -> Fields:
    """The fields that every object has, then those of its kind, which take precedence."""
    found.choice("object", kind.objects)
    fields: Fields = {
        "object_id": found.identifier("id", required=kind.identified),
        "provider_status": found.code("status"),
        # In newer versions a payer may be an Account instead of a Customer.
        "customer_id": found.reference("customer") or found.identifier("customer_account"),
    }
    fields.update(kind.read(found, rendering))
    return fields


def _previous(
    found: Reader, changed: Reader, kind: Kind, rendering: Rendering, now: Fields
) -> Fields | None:
    """The fields of `Previous` that differed before the event, as the same reader reads them."""
    reading = Reading(found.reading.pseudonym_key, OWN_FORMAT)
    before = Reader(found.patched(changed), "", reading)
    fields = kind.read(before, rendering._replace(event_type=None))
    if reading.faults:
        return None  # half an object: its values would be guesses
    differing = {
        name: value
        for name in Previous.model_fields
        if (value := fields.get(name)) is not None and value != now.get(name)
    }
    return differing or None


def _parse(body: bytes) -> Json | Rejected:
    """The body as a JSON object without U+0000.

    orjson refuses NaN, lone surrogates, 1e999, a depth over 1,024 and an integer of 5,000 digits.
    It reads an integer of slightly more than 64 bits as a float, and no field accepts a float.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _rejected(FailureClass.UNPARSEABLE, f"is not JSON: {error.msg}")
    if not isinstance(found, dict):
        return _rejected(FailureClass.UNPARSEABLE, "is not a JSON object")
    # JSON can hold U+0000 only escaped. Few bodies have a backslash, and the search for one byte is
    # ten times as fast as the search for six.
    if b"\\" in body and b"\\u0000" in body and (paths := _unstorable(found)):
        message = "holds U+0000, which PostgreSQL can't store"
        errors = tuple(FieldError(path=path, message=message) for path in paths)
        return Rejected(FailureClass.UNSTORABLE_TEXT, errors)
    return found


def _unstorable(body: Json) -> list[str]:
    """The paths of keys and strings that hold U+0000.

    It is a loop because the depth may exceed Python's stack. Paths are stored in places where
    bodies are not, so they contain only Stripe's names.
    """
    paths: list[str] = []
    left: list[tuple[str, object]] = [("", body)]
    while left and len(paths) < ERRORS_MAX:
        path, value = left.pop()
        if isinstance(value, str):
            if "\0" in value:
                paths.append(path)
        elif isinstance(value, dict):
            paths.extend(_join(path, UNNAMED) for key in value if "\0" in key)
            left.extend((_join(path, _known(path, key)), each) for key, each in value.items())
        elif isinstance(value, list):
            left.extend((_join(path, str(position)), each) for position, each in enumerate(value))
    return paths[:ERRORS_MAX]


def _known(path: str, key: str) -> str:
    """The key as it may appear in a path."""
    free = path.rpartition(".")[2] in (FREE_FORM, UNNAMED)
    return key if _NAME.fullmatch(key) and not free else UNNAMED


def _join(path: str, name: str) -> str:
    joined = f"{path}.{name}" if path else name
    return joined[:PATH_CHARACTERS_MAX]


def _rejected(failure: FailureClass, message: str) -> Rejected:
    return Rejected(failure, (FieldError(path="", message=message),))
