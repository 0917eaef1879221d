"""Applies a JSON patch (RFC 6902) to a body. The same patch gives the same bytes.

The standard library parses the body, because it reads what orjson refuses (NaN, a lone surrogate,
an integer of many digits), and the patch may repair exactly that.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from jsonpatch import (
    InvalidJsonPatch,
    JsonPatch,
    JsonPatchException,
    JsonPatchTestFailed,
)
from jsonpointer import JsonPointerException

from payment_pipeline.domain.failures import UserError

OPERATIONS_MAX: Final = 100


class NotPatched(NamedTuple):
    """Why a body can't be patched. The reason quotes no value of the body."""

    reason: str


def read(given: str) -> JsonPatch:
    """Read the patch of the command line: a JSON array, or the name of a file with one.

    Raises:
        UserError: the text is no JSON patch, or the file can't be read.
    """
    if given.lstrip().startswith("["):
        return parse(given)
    try:
        return parse(Path(given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as refusal:
        said = getattr(refusal, "strerror", None) or "not UTF-8"
        raise UserError(f"The patch {given} can't be read: {said}.") from None


def parse(text: str) -> JsonPatch:
    """Parse a patch.

    Raises:
        UserError: the text is no JSON patch.
    """
    try:
        operations = json.loads(text)
        if not isinstance(operations, list) or not 0 < len(operations) <= OPERATIONS_MAX:
            raise UserError(f"A patch is a JSON array of 1 to {OPERATIONS_MAX} operations.")
        return JsonPatch(operations)
    except (ValueError, RecursionError):
        raise UserError("The patch is not JSON.") from None
    except (JsonPatchException, JsonPointerException) as wrong:
        raise UserError(f"The patch is not a JSON patch (RFC 6902): {_said(wrong)}.") from None


def apply(patch: JsonPatch, body: bytes) -> bytes | NotPatched:
    """Return the patched body: compact JSON in ASCII, keys in their order."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return NotPatched("the body is not JSON, so it can't be patched")
    try:
        patched = patch.apply(document)
        return json.dumps(patched, separators=(",", ":"), allow_nan=False).encode()
    except JsonPatchTestFailed:
        return NotPatched("a test operation of the patch does not hold")
    except (JsonPatchException, JsonPointerException) as wrong:
        return NotPatched(f"the patch does not fit: {_said(wrong)}")
    except (ValueError, RecursionError, TypeError):
        return NotPatched("the patched document is not JSON")


def operations(patch: JsonPatch) -> list[dict[str, Any]]:
    """Return the patch as it is stored with the dead letter."""
    found: Iterable[dict[str, Any]] = patch.patch
    return list(found)


def _said(wrong: Exception) -> str:
    """Return the library's message about the patch, or the path that the body lacks."""
    if isinstance(wrong, InvalidJsonPatch):
        return str(wrong.args[0]) if wrong.args else "an operation is invalid"
    location = getattr(getattr(wrong, "op", None), "location", None)
    return f"{location} can't be reached" if location else "a path can't be reached"
