"""How does a Stripe event become a `PaymentEvent`, whatever its API version?

A third of its time is JSON, a fifth the model's, and the rest the reading of some forty fields.
Nothing raises for bad input: every error is a value with its path in the body.
"""

import re
from typing import Final

import orjson
from pydantic import ValidationError

from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import FailureClass, FieldError, Rejected, Unmodelled
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.providers import Context
from payment_pipeline.providers.reader import Fields, Json, Reader, Reading

from .event_types import MODELLED, Kind

ERRORS_MAX: Final = 20
"""How many strings with U+0000 a dead letter names; more would say no more."""
PATH_CHARACTERS_MAX: Final = 500
FREE_FORM: Final = "metadata"
"""Whose keys are the merchant's words, not Stripe's."""
UNNAMED: Final = "*"
"""Stands for a key in a path that may be anybody's: an address, a name."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
"""Stripe's names of fields; a list's positions are digits."""


def normalize(raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
    """Turn a raw record into one `PaymentEvent`, or say why not."""
    body = _parse(raw.body)
    if isinstance(body, Rejected):
        return body
    reading = Reading(context.pseudonym_key)
    event = Reader(body, "", reading)
    name = event.text("type", required=True)
    event_id = event.text("id", required=True)
    if name is None or event_id is None:
        return reading.rejected()._replace(failure=FailureClass.UNPARSEABLE)
    if name not in MODELLED:
        return Unmodelled(name)
    kind, event_type = MODELLED[name]
    found = event.child("data").child("object")
    if not found:
        event.fault("data.object", "is missing")
        return reading.rejected()
    fields: Fields = {
        "provider": raw.provider,
        "event_id": event_id,
        "event_type": event_type,
        "provider_event_type": name,
        "occurred_at": event.moment("created", required=True),
        "received_at": raw.received_at,
        "api_version": event.text("api_version"),
        "livemode": event.flag("livemode", required=True),
        "merchant_id": event.text("account"),
        "body_sha256": raw.body_sha256,
        "source": raw.coordinates,
        "traceparent": raw.traceparent,
        "normalizer_version": context.normalizer_version,
    }
    fields.update(_object(found, kind))
    return reading.rejected() if reading.faults else _event(kind, fields)


def _object(found: Reader, kind: Kind) -> Fields:
    """What every object has, then what only this kind has, which knows better."""
    found.choice("object", kind.objects)
    fields: Fields = {
        "object_id": found.text("id", required=kind.identified),
        "status": found.text("status"),
        # In newer versions a payer may be an Account instead of a Customer.
        "customer_id": found.reference("customer") or found.text("customer_account"),
    }
    fields.update(kind.read(found))
    return fields


def _event(kind: Kind, fields: Fields) -> PaymentEvent | Rejected:
    """The last word is the model's: what leaves here is as its schema promises."""
    try:
        return kind.model.model_validate(fields, strict=True)
    except ValidationError as broken:
        return Rejected(
            FailureClass.INVALID,
            tuple(
                FieldError(path=".".join(map(str, error["loc"])), message=error["msg"])
                for error in broken.errors(include_url=False, include_input=False)
            ),
        )


def _parse(body: bytes) -> Json | Rejected:
    """The body as an object of storable text.

    orjson refuses what JSON has no word for (NaN, lone surrogates, 1e999), a depth over 1,024 and
    an integer of 5,000 digits; one just past 64 bits it reads as a float, and no field takes those.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _rejected(FailureClass.UNPARSEABLE, f"is not JSON: {error.msg}")
    if not isinstance(found, dict):
        return _rejected(FailureClass.UNPARSEABLE, "is not a JSON object")
    # A raw U+0000 is no JSON, so it can only stand escaped. Few bodies have a backslash at all, and
    # one byte is looked for ten times as fast as six.
    if b"\\" in body and b"\\u0000" in body and (paths := _unstorable(found)):
        message = "holds U+0000, which PostgreSQL can't store"
        errors = tuple(FieldError(path=path, message=message) for path in paths)
        return Rejected(FailureClass.UNSTORABLE_TEXT, errors)
    return found


def _unstorable(body: Json) -> list[str]:
    """The paths of keys and strings that hold U+0000. A loop: depth may exceed Python's stack.

    Paths are kept where bodies are not, so they hold Stripe's words alone.
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
    """A key as a path may say it."""
    free = path.rpartition(".")[2] in (FREE_FORM, UNNAMED)
    return key if _NAME.fullmatch(key) and not free else UNNAMED


def _join(path: str, name: str) -> str:
    joined = f"{path}.{name}" if path else name
    return joined[:PATH_CHARACTERS_MAX]


def _rejected(failure: FailureClass, message: str) -> Rejected:
    return Rejected(failure, (FieldError(path="", message=message),))
