"""The OpenAPI description of the webhook route, which FastAPI can't derive from plain ASGI."""

from collections import defaultdict
from typing import Any, Final

from payment_pipeline.providers import providers

from . import answers
from .answers import Answer

PROBLEM_FIELDS: Final = {
    "type": {"type": "string", "format": "uri"},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "code": {"type": "string"},
    "detail": {"type": "string"},
}


def webhook_operation() -> dict[str, Any]:
    """The OpenAPI 3.1 operation of `POST /webhooks/{provider}`, with all answers."""
    return {
        "tags": ["webhooks"],
        "summary": "Receive a signed webhook",
        "operationId": "receive_webhook",
        "description": (
            "The gateway verifies the raw body with each live secret, and writes it unchanged to "
            "`webhooks.<provider>.<resource>`, keyed by payment."
        ),
        "parameters": [
            {"name": "provider", "in": "path", "required": True, "schema": {"type": "string"}},
            *(
                {
                    "name": provider.signature_header.title(),
                    "in": "header",
                    "description": f"The signature header of `{name}`.",
                    "schema": {"type": "string"},
                }
                for name, provider in providers().items()
            ),
            {
                "name": "traceparent",
                "in": "header",
                "description": "W3C trace context to continue. Any other value starts a new trace.",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": _responses(),
    }


def _responses() -> dict[str, Any]:
    by_status: defaultdict[int, list[Answer]] = defaultdict(list)
    for answer in answers.all_answers():
        by_status[answer.status].append(answer)
    return {str(status): response_of(cases) for status, cases in sorted(by_status.items())}


def response_of(cases: list[Answer]) -> dict[str, Any]:
    """The entry of one status, with the cases that have this status."""
    codes: dict[str, Any] = {"type": "string", "enum": [case.code for case in cases]}
    if cases[0].status == answers.ACCEPTED.status:
        codes["enum"].remove(answers.ACCEPTED.code)  # its body is empty
        content_type, fields = "application/json", {"status": codes}
    else:
        content_type, fields = answers.PROBLEM_JSON, {**PROBLEM_FIELDS, "code": codes}
    schema = {"type": "object", "properties": fields, "required": [*fields]}
    headers = {
        name.decode().title(): {"schema": {"type": "string"}}
        for case in cases
        for name, _ in case.start["headers"]
        if name in (b"retry-after", b"www-authenticate", b"allow")
    }
    return {
        "description": "\n".join(f"- `{case.code}`: {case.detail}" for case in cases),
        "content": {content_type: {"schema": schema}},
        **({"headers": headers} if headers else {}),
    }
