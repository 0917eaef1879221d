"""The answers of the gateway to webhooks, built once at import.

Errors are problem details (RFC 9457): `type` and `code` name the case for machines, and `detail`
says what happened and what to do. No answer contains a byte of the request.
"""

from http import HTTPStatus
from typing import Final, NamedTuple

import orjson
from starlette.types import Message

from payment_pipeline.providers import Refusal

PROBLEM_JSON: Final = "application/problem+json"
PROBLEM_TYPE: Final = "urn:payment-pipeline:problem:"


class Answer(NamedTuple):
    """A complete HTTP response as its two ASGI messages."""

    status: int
    code: str
    """The name of the case, for metrics and machines."""
    detail: str
    start: Message
    body: Message


def _answer(status: int, code: str, detail: str, content: object = None, **headers: str) -> Answer:
    body = b"" if content is None else orjson.dumps(content)
    lines = {**headers, "content-length": str(len(body))}
    return Answer(
        status=status,
        code=code,
        detail=detail,
        start={
            "type": "http.response.start",
            "status": status,
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in lines.items()
            ],
        },
        body={"type": "http.response.body", "body": body},
    )


def _kept(code: str, detail: str) -> Answer:
    return _answer(200, code, detail, {"status": code}, content_type="application/json")


def _problem(status: int, code: str, title: str, detail: str, **headers: str) -> Answer:
    content = {
        "type": PROBLEM_TYPE + code,
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return _answer(status, code, detail, content, content_type=PROBLEM_JSON, **headers)


# Without a body, because providers read only the status and a body costs a second write.
ACCEPTED: Final = _answer(
    200, "accepted", "The event is verified and on every in-sync replica. The body is empty."
)
UNPARSEABLE: Final = _kept(
    "unparseable",
    "The signature is valid, but no event could be read from the body. The unchanged body is on "
    "the dead-letter topic `webhooks.dlq`. Don't send it again.",
)
UNSUPPORTED: Final = _kept(
    "unsupported",
    "The signature is valid, but an event of this class carries no snapshot of its object (a thin "
    "event, `v2.core.event`). It is on `webhooks.dlq` with its class as the reason. Don't send it "
    "again.",
)

NOT_FOUND: Final = _problem(
    404, "not_found", "Not found", "Send webhooks to `/webhooks/{provider}`."
)
NO_PAGE: Final = _problem(
    404, "not_found", "Not found", "This port has `/livez`, `/readyz`, `/metrics`, `/openapi.json`."
)
MALFORMED: Final = _problem(
    400, "malformed", "Malformed request", "This is no valid HTTP request.", connection="close"
)
PROBE_METHOD: Final = _problem(
    405, "method_not_allowed", "Method not allowed", "Use GET for this path.", allow="GET"
)
NOT_READY: Final = _problem(503, "not_ready", "Not ready", "Kafka can't store an event now.")
UNKNOWN_PROVIDER: Final = _problem(
    404, "unknown_provider", "Unknown provider", "This gateway serves no provider of this name."
)
METHOD_NOT_ALLOWED: Final = _problem(
    405, "method_not_allowed", "Method not allowed", "Use POST for a webhook.", allow="POST"
)
BODY_INCOMPLETE: Final = _problem(
    400,
    "body_incomplete",
    "Body incomplete",
    "The connection closed before the body was complete.",
)
REQUEST_TIMEOUT: Final = _problem(
    408,
    "request_timeout",
    "Request too slow",
    "The request took too long to arrive.",
    connection="close",
)
HEAD_TOO_LARGE: Final = _problem(
    431,
    "head_too_large",
    "Headers too large",
    "The request's headers are too long.",
    connection="close",
)
BODY_TOO_LARGE: Final = _problem(
    413, "body_too_large", "Body too large", "The body exceeds the gateway's maximum size."
)
NOT_JSON: Final = _problem(
    415, "not_json", "Unsupported media type", "Send `Content-Type: application/json`."
)
ENCODED: Final = _problem(
    415,
    "content_encoded",
    "Unsupported content encoding",
    "The signature covers the raw body. Send the body without a `Content-Encoding`.",
    accept_encoding="identity",
)
DEFECT: Final = _problem(
    500, "defect", "Internal error", "The event was not stored. Send it again later."
)

REFUSED: Final = {
    Refusal.MISSING: _problem(
        400, Refusal.MISSING, "Signature missing", "The provider's signature header is missing."
    ),
    Refusal.MALFORMED: _problem(
        400, Refusal.MALFORMED, "Signature malformed", "The signature header has a wrong format."
    ),
    **{
        refusal: _problem(401, refusal, title, detail, www_authenticate="Signature")
        for refusal, title, detail in (
            (Refusal.MISMATCH, "Signature mismatch", "No live secret matches this signature."),
            (
                Refusal.TOO_OLD,
                "Signature expired",
                "The signing time is too old. Check your clock.",
            ),
            (
                Refusal.TOO_NEW,
                "Signature in future",
                "The signing time is in the future. Check your clock.",
            ),
        )
    },
}


class Unavailable(NamedTuple):
    """The answers that ask for a retry, with the setting `retry_after_s`."""

    no_broker: Answer
    """The gateway is not connected to Kafka, or the broker failed the send."""
    deadline: Answer
    """Kafka did not acknowledge in time, but may still store the event."""
    overloaded: Answer
    """Too many events or bytes are in work."""


def unavailable(retry_after_s: int) -> Unavailable:
    """All answers with the status 503, with `Retry-After`."""

    def problem(code: str, title: str, detail: str) -> Answer:
        return _problem(503, code, title, detail, retry_after=str(retry_after_s))

    return Unavailable(
        problem("no_broker", "Unavailable", "The event could not be stored. Send it again."),
        problem("deadline", "Unavailable", "The event was not stored in time. Send it again."),
        problem("overloaded", "Overloaded", "Too many events are in work. Send it again."),
    )


def all_answers() -> tuple[Answer, ...]:
    """All answers, for the OpenAPI document and for metrics that start at zero."""
    return (
        *(ACCEPTED, UNPARSEABLE, UNSUPPORTED),
        *(UNKNOWN_PROVIDER, METHOD_NOT_ALLOWED, NOT_JSON, ENCODED),
        *(MALFORMED, BODY_INCOMPLETE, REQUEST_TIMEOUT, BODY_TOO_LARGE, HEAD_TOO_LARGE, DEFECT),
        *REFUSED.values(),
        *unavailable(1),
    )


def raw(answer: Answer) -> bytes:
    """The bytes of an answer, for a connection without a complete request."""
    head = b"".join(b"%b: %b\r\n" % line for line in answer.start["headers"])
    phrase = HTTPStatus(answer.status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (answer.status, phrase, head, answer.body["body"])
