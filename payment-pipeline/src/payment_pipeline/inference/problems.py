"""The error answers of inference: problem details (RFC 9457), with a `code` as their type."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import orjson
from pydantic import ValidationError
from starlette.responses import Response

PROBLEM_JSON: Final = "application/problem+json"
ERRORS_MAX: Final = 20
"""How many errors of a batch are listed. A thousand events may all have the same error."""


def too_large(bytes_max: int) -> Response:
    """The body is too large."""
    return problem(413, "body_too_large", f"A batch has at most {bytes_max} bytes.")


def unauthorized() -> Response:
    """The request has no token, or a wrong one."""
    answer = problem(401, "unauthorized", "Send the token as `Authorization: Bearer`.")
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def too_slow(seconds_max: float) -> Response:
    """The body did not arrive in time."""
    return problem(408, "body_incomplete", f"The body must arrive whole within {seconds_max} s.")


def invalid(wrong: ValidationError) -> Response:
    """The body is not JSON or not a `ScoreRequest`. The answer has paths, never values."""
    errors = [
        {"path": ".".join(str(part) for part in error["loc"]), "message": error["msg"]}
        for error in wrong.errors(include_url=False, include_context=False, include_input=False)
    ]
    code = "not_json" if wrong.errors()[0]["type"] == "json_invalid" else "invalid_batch"
    detail = f"{len(errors)} errors; the first {ERRORS_MAX} are listed at most."
    return problem(422, code, detail, errors=errors[:ERRORS_MAX])


def overloaded(retry_after_s: int) -> Response:
    """Too many batches are in flight."""
    answer = problem(
        503, "overloaded", "Too many batches are in flight. Send the batch again later."
    )
    answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def defect() -> Response:
    """A model raised an exception."""
    return problem(
        500,
        "defect",
        "The batch could not be scored because of a defect in the service. See its log.",
    )


def problem(
    status: int, code: str, detail: str, errors: Sequence[dict[str, str]] | None = None
) -> Response:
    """One problem document."""
    content: dict[str, object] = {
        "type": f"urn:payment-pipeline:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors is not None:
        content["errors"] = errors
    return Response(orjson.dumps(content), status, media_type=PROBLEM_JSON)
