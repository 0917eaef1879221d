"""What does a body read after a JSON patch (RFC 6902)? The same patch gives the same bytes.

The standard library's parser, not the pipeline's: it reads what orjson refuses (NaN, a lone
surrogate, an integer of many digits), and just that may be what is to be mended.
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
    """Why a body can't be patched, without any of the body's values."""

    reason: str


def read(given: str) -> JsonPatch:
    """The patch on the command line: the array itself, or the name of a file that holds it.

    Raises:
        UserError: it is no JSON patch, or there is no such file.
    """
    if given.lstrip().startswith("["):
        return parse(given)
    try:
        return parse(Path(given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as refusal:
        said = getattr(refusal, "strerror", None) or "not UTF-8"
        raise UserError(f"The patch {given} can't be read: {said}.") from None


def parse(text: str) -> JsonPatch:
    """A patch as a person wrote it.

    Raises:
        UserError: it is no JSON patch.
    """
    try:
        operations = json.loads(text)
        if not isinstance(operations, list) or not 0 < len(operations) <= OPERATIONS_MAX:
            raise UserError(f"A patch is a JSON array of 1 to {OPERATIONS_MAX} operations.")
        return JsonPatch(operations)
    except (ValueError, RecursionError):
        raise UserError("The patch is no JSON.") from None
    except (JsonPatchException, JsonPointerException) as wrong:
        raise UserError(f"The patch is no JSON patch (RFC 6902): {_said(wrong)}.") from None


def apply(patch: JsonPatch, body: bytes) -> bytes | NotPatched:
    """The patched body, compact and in ASCII; keys keep their order."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return NotPatched("the body is no JSON, so there is nothing to patch")
    try:
        patched = patch.apply(document)
        return json.dumps(patched, separators=(",", ":"), allow_nan=False).encode()
    except JsonPatchTestFailed:
        return NotPatched("a test operation of the patch does not hold")
    except (JsonPatchException, JsonPointerException) as wrong:
        return NotPatched(f"the patch does not fit: {_said(wrong)}")
    except (ValueError, RecursionError, TypeError):
        return NotPatched("what the patch leaves is no JSON")


def operations(patch: JsonPatch) -> list[dict[str, Any]]:
    """The patch as it is kept beside the letter."""
    found: Iterable[dict[str, Any]] = patch.patch
    return list(found)


def _said(wrong: Exception) -> str:
    """The library's words on the patch; of a body only which of the patch's paths it lacks."""
    if isinstance(wrong, InvalidJsonPatch):
        return str(wrong.args[0]) if wrong.args else "an operation is invalid"
    location = getattr(getattr(wrong, "op", None), "location", None)
    return f"{location} can't be reached" if location else "a path can't be reached"
