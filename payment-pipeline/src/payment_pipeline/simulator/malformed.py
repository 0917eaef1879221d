"""Malformed bodies with a right signature, and the failure class of each in the quarantine.

The drills use them as poison messages: some pass one parser and crash another.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import orjson

from payment_pipeline.domain.failures import FailureClass

from .shapes import Json

DEEP: Final = 20_000
HUGE_DIGITS: Final = 5_000


class Malformation(NamedTuple):
    """One way to make a valid event invalid."""

    name: str
    spoil: Callable[[Json], bytes]
    """Takes the parsed event, which it may change, and returns the malformed body."""
    failure: FailureClass


def _object(event: Json) -> Json:
    thing: Json = event["data"]["object"]
    return thing


def _without(field: str) -> Callable[[Json], bytes]:
    def spoil(event: Json) -> bytes:
        del _object(event)[field]
        return orjson.dumps(event)

    return spoil


def _with(field: str, value: object) -> Callable[[Json], bytes]:
    def spoil(event: Json) -> bytes:
        _object(event)[field] = value
        return orjson.dumps(event)

    return spoil


def _amount_as(text: bytes) -> Callable[[Json], bytes]:
    """Replace the amount with JSON text that no serializer writes."""

    def spoil(event: Json) -> bytes:
        _object(event)["amount"] = "AMOUNT"
        return orjson.dumps(event).replace(b'"AMOUNT"', text)

    return spoil


def _truncated(event: Json) -> bytes:
    body = orjson.dumps(event)
    return body[: len(body) * 2 // 3]


def _without_envelope_field(field: str) -> Callable[[Json], bytes]:
    def spoil(event: Json) -> bytes:
        del event[field]
        return orjson.dumps(event)

    return spoil


def _deep(event: Json) -> bytes:
    _object(event)["metadata"] = "DEEP"
    return orjson.dumps(event).replace(b'"DEEP"', b"[" * DEEP + b"]" * DEEP)


def _lone_surrogate(event: Json) -> bytes:
    _object(event)["description"] = "LONE"
    return orjson.dumps(event).replace(b'"LONE"', b'"\\ud800"')


_UNPARSEABLE, _INVALID = FailureClass.UNPARSEABLE, FailureClass.INVALID

MALFORMATIONS: Final = (
    Malformation("truncated", _truncated, _UNPARSEABLE),
    Malformation("array", lambda event: orjson.dumps([event]), _UNPARSEABLE),
    Malformation("no_id", _without_envelope_field("id"), _UNPARSEABLE),
    Malformation("nan", _amount_as(b"NaN"), _UNPARSEABLE),
    Malformation("infinite", _amount_as(b"1e999"), _UNPARSEABLE),
    Malformation("huge_digits", _amount_as(b"9" * HUGE_DIGITS), _UNPARSEABLE),
    Malformation("deep", _deep, _UNPARSEABLE),
    Malformation("lone_surrogate", _lone_surrogate, _UNPARSEABLE),
    Malformation("nul", _with("description", "a\u0000b"), FailureClass.UNSTORABLE_TEXT),
    Malformation("no_data", _without_envelope_field("data"), _UNPARSEABLE),
    Malformation("no_amount", _without("amount"), _INVALID),
    Malformation("no_currency", _without("currency"), _INVALID),
    Malformation("text_amount", _with("amount", "12.50"), _INVALID),
    Malformation("fractional_amount", _with("amount", 12.5), _INVALID),
    Malformation("huge_amount", _amount_as(str(2**70).encode()), _INVALID),
    Malformation("unknown_currency", _with("currency", "xqq"), FailureClass.UNKNOWN_CURRENCY),
)
