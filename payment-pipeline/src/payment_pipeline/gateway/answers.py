"""Every answer that the gateway can give to a webhook, made once at import.

Errors are problem details (RFC 9457): `type` and `code` name the case for a machine, `detail` says
what to do. No answer repeats a byte of the request.
"""

from http import HTTPStatus
from typing import Final, NamedTuple

import orjson
from starlette.types import Message

from payment_pipeline.providers import Refusal

PROBLEM_JSON: Final = "application/problem+json"
PROBLEM_TYPE: Final = "urn:payment-pipeline:problem:"


class Answer(NamedTuple):
    """A whole HTTP response as its two ASGI messages."""

    status: int
    code: str
    """The case, for metrics and machines."""
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


# Without a body: providers read the status only, and a body is a second write.
ACCEPTED: Final = _answer(
    200, "accepted", "Verified, and on every in-sync replica of Kafka. The body is empty."
)
UNPARSEABLE: Final = _kept(
    "unparseable",
    "Verified, but no event could be read from the body. It is kept as it came, on the dead-letter "
    "topic `webhooks.dlq`: sending it again would change nothing.",
)
UNSUPPORTED: Final = _kept(
    "unsupported",
    "Verified, but of a class that carries no snapshot (a thin event, `v2.core.event`). It is kept "
    "on `webhooks.dlq` with its class as the reason: sending it again would change nothing.",
)

NOT_FOUND: Final = _problem(404, "not_found", "Not found", "Webhooks go to `/webhooks/{provider}`.")
MALFORMED: Final = _problem(
    400, "malformed", "Malformed request", "It can't be read as one request.", connection="close"
)
PROBE_METHOD: Final = _problem(
    405, "method_not_allowed", "Method not allowed", "Only webhooks are POSTed.", allow="GET"
)
NOT_READY: Final = _problem(503, "not_ready", "Not ready", "Kafka can't take an event now.")
UNKNOWN_PROVIDER: Final = _problem(
    404, "unknown_provider", "Unknown provider", "No provider of this name is set up here."
)
METHOD_NOT_ALLOWED: Final = _problem(
    405, "method_not_allowed", "Method not allowed", "Webhooks are POSTed.", allow="POST"
)
BODY_INCOMPLETE: Final = _problem(
    400, "body_incomplete", "Body incomplete", "The connection ended before the body did."
)
REQUEST_TIMEOUT: Final = _problem(
    408, "request_timeout", "Request too slow", "It did not arrive in time.", connection="close"
)
HEAD_TOO_LARGE: Final = _problem(
    431,
    "head_too_large",
    "Head too large",
    "The request's headers are too long.",
    connection="close",
)
BODY_TOO_LARGE: Final = _problem(
    413, "body_too_large", "Body too large", "The body is larger than this gateway takes."
)
NOT_JSON: Final = _problem(
    415, "not_json", "Unsupported media type", "Send `Content-Type: application/json`."
)
ENCODED: Final = _problem(
    415,
    "content_encoded",
    "Unsupported content encoding",
    "The signature is over the raw body: send it without a `Content-Encoding`.",
    accept_encoding="identity",
)
DEFECT: Final = _problem(
    500, "defect", "A defect of ours", "The event was not stored. Send it again later."
)

REFUSED: Final = {
    Refusal.MISSING: _problem(
        400, Refusal.MISSING, "Signature missing", "The provider's signature header is required."
    ),
    Refusal.MALFORMED: _problem(
        400, Refusal.MALFORMED, "Signature malformed", "The signature header can't be read."
    ),
    **{
        refusal: _problem(401, refusal, title, detail, www_authenticate="Signature")
        for refusal, title, detail in (
            (Refusal.MISMATCH, "Signature mismatch", "No live secret made this signature."),
            (Refusal.TOO_OLD, "Signature expired", "It was signed too long ago: check the clock."),
            (Refusal.TOO_NEW, "Signature in future", "It was signed too far ahead of our clock."),
        )
    },
}


class Unavailable(NamedTuple):
    """The answers that ask for another try; they say when, which is a setting."""

    no_broker: Answer
    """Not connected, or the broker failed the send."""
    deadline: Answer
    """No acknowledgement in time. The event may still get there: its retry is then a duplicate."""
    overloaded: Answer
    """Too much is being read or unacknowledged already."""


def unavailable(retry_after_s: int) -> Unavailable:
    """Every 503, with `Retry-After`."""

    def problem(code: str, title: str, detail: str) -> Answer:
        return _problem(503, code, title, detail, retry_after=str(retry_after_s))

    return Unavailable(
        problem("no_broker", "Unavailable", "The event could not be stored. Send it again."),
        problem("deadline", "Unavailable", "The event was not stored in time. Send it again."),
        problem("overloaded", "Overloaded", "Too many events are under way. Send it again."),
    )


def all_answers() -> tuple[Answer, ...]:
    """Every case, for the OpenAPI document and for metrics that start at zero."""
    return (
        *(ACCEPTED, UNPARSEABLE, UNSUPPORTED),
        *(UNKNOWN_PROVIDER, METHOD_NOT_ALLOWED, NOT_JSON, ENCODED),
        *(MALFORMED, BODY_INCOMPLETE, REQUEST_TIMEOUT, BODY_TOO_LARGE, HEAD_TOO_LARGE, DEFECT),
        *REFUSED.values(),
        *unavailable(1),
    )


def raw(answer: Answer) -> bytes:
    """The response as it goes over a connection that has no request to answer yet."""
    head = b"".join(b"%b: %b\r\n" % line for line in answer.start["headers"])
    phrase = HTTPStatus(answer.status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (answer.status, phrase, head, answer.body["body"])
