"""What do the topics promise to whoever reads them? The published contracts, made from the types.

`docs/contracts/` holds a JSON Schema of each message and an AsyncAPI 3.0 document of every topic:
generated, committed, and held against the types by CI.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PAYMENT_EVENT
from payment_pipeline.domain.failures import BadRecord, UserError
from payment_pipeline.providers import providers

from .compatibility import Schema, refused, schema_version

FOLDER: Final = Path("docs/contracts")
"""Of the repository, in whose root folder the command is called."""
PAYMENT_EVENT_FILE: Final = "payment_event.schema.json"
BAD_RECORD_FILE: Final = "bad_record.schema.json"
ASYNCAPI_FILE: Final = "asyncapi.json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

HEADERS: Final[Mapping[str, str]] = {
    names.CE_SPECVERSION: "CloudEvents version, `1.0`.",
    names.CE_ID: "The provider's event id.",
    names.CE_TYPE: "The provider's event type.",
    names.CE_SOURCE: "`/webhooks/<provider>`, then `/<account>` for a connected account's event.",
    names.CE_TIME: "When the provider says it happened, RFC 3339 in UTC.",
    names.TRACEPARENT: "W3C Trace Context of the receipt.",
    names.BODY_SHA256: "Lower-case hex SHA-256 of the signed body.",
    names.RECEIVED_AT: "When the gateway had the whole body, RFC 3339 in UTC.",
    names.VERDICT: "How the signature was verified.",
}
SOURCE_HEADERS: Final[Mapping[str, str]] = {
    names.SOURCE_TOPIC: "The raw topic that the value was copied from.",
    names.SOURCE_PARTITION: "Partition there, in decimal digits.",
    names.SOURCE_OFFSET: "Offset there, in decimal digits.",
}
REDRIVE_HEADERS: Final[Mapping[str, str]] = {
    names.REDRIVEN_FROM: "`topic/partition/offset` of the record whose dead letter was redriven.",
    names.PATCHED_FROM: "SHA-256 of the body that was signed, where a redrive patched it.",
}
"""Only on what `payments dlq redrive` sent."""
EVENT_HEADERS: Final = (names.CE_SPECVERSION, names.CE_ID, names.CE_TYPE, names.CE_TIME)
"""What only an event has: on `webhooks.dlq` none could be read."""


def documents() -> dict[str, Schema]:
    """Every published document by file name, as the types have it now."""
    return {
        PAYMENT_EVENT_FILE: _payment_event(),
        BAD_RECORD_FILE: _bad_record(),
        ASYNCAPI_FILE: _asyncapi(),
    }


def write(folder: Path = FOLDER) -> tuple[str, ...]:
    """Write what has changed; return the names.

    Raises:
        UserError: a change would break who reads the published contract.
    """
    stale = _stale(folder)
    breaks = [
        f"{name}: {problem}"
        for name in stale
        if (folder / name).exists()
        for problem in broken(name, json.loads((folder / name).read_text()), stale[name])
    ]
    if breaks:
        raise UserError(
            f"Raise schema_version or take the change back, for it breaks consumers: "
            f"{'; '.join(breaks)}.",
            1,
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in stale.items():
        (folder / name).write_text(_text(document))
    return tuple(stale)


def broken(name: str, published: Schema, new: Schema) -> tuple[str, ...]:
    """What a reader of a published document would miss in the new one, unannounced."""
    if name != ASYNCAPI_FILE:
        return refused(published, new)
    gone = published["channels"].keys() - new["channels"].keys()
    return (*(f"{topic} is gone" for topic in sorted(gone)), *_missed_headers(published, new))


def _missed_headers(published: Schema, new: Schema) -> Iterator[str]:
    """A header that readers of a message were told of, or told that it is always there."""
    messages = new["components"]["messages"]
    for message, was in published["components"]["messages"].items():
        now = messages.get(message, {}).get("headers", {})
        before = was.get("headers", {})
        there = now.get("properties", {}).keys()
        gone = before.get("properties", {}).keys() - there
        yield from (f"{message}'s header {name} is gone" for name in sorted(gone))
        loose = set(before.get("required", ())) - set(now.get("required", ())) - gone
        yield from (f"{message}'s header {name} may be missing now" for name in sorted(loose))


def check(folder: Path = FOLDER) -> None:
    """Hold what is published against the types.

    Raises:
        UserError: they differ; it names the files.
    """
    if stale := _stale(folder):
        raise UserError(f"Run `payments contracts`, for {', '.join(stale)} is out of date.", 1)


def _stale(folder: Path) -> dict[str, Schema]:
    return {
        name: document
        for name, document in documents().items()
        if not (folder / name).exists() or (folder / name).read_text() != _text(document)
    }


def _text(document: Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


# --- the documents ----------------------------------------------------------------------------


def _payment_event() -> Schema:
    # As a reader sees it: a field that is null is left out of the message.
    schema = PAYMENT_EVENT.json_schema(mode="validation")
    return {"$schema": DIALECT, "title": "PaymentEvent", **schema}


def _bad_record() -> Schema:
    # As it is written, in full.
    return {"$schema": DIALECT, **BadRecord.model_json_schema(mode="serialization")}


def _asyncapi() -> Schema:
    addresses = {**_raw_channels(), **_pipeline_channels()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Payment pipeline",
            "version": f"{schema_version(_payment_event())}.0.0",
            "description": (
                "Signed payment webhooks on their way to the warehouse. Every record is keyed by "
                "its payment, so one payment's events stay in order; only what no event could be "
                f"read of, on `{topics.DLQ_WEBHOOKS}`, has no key. Delivery is at least once: the "
                "event id, or a dead letter's source, tells a repeat."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {address: _channel(address, *about) for address, about in addresses.items()},
        "operations": {
            f"read {address}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{_pointer(address)}"},
            }
            for address in addresses
        },
        "components": {"messages": _messages()},
    }


def _raw_channels() -> dict[str, tuple[str, str]]:
    return {
        topics.raw(provider.name, resource): (
            "RawWebhook",
            f"Webhooks of {provider.name} about {resource}, as they came.",
        )
        for provider in providers().values()
        for resource in provider.resources
    }


def _pipeline_channels() -> dict[str, tuple[str, str]]:
    return {
        topics.DLQ_WEBHOOKS: ("UnreadableWebhook", "Signed, but no event could be read."),
        topics.NORMALIZED: ("PaymentEvent", "Every event that a model covers."),
        topics.DLQ_VALIDATION: ("BadRecord", "Events that no valid PaymentEvent could be made of."),
        topics.UNMODELLED: ("UnmodelledWebhook", "Genuine events of a type that no model covers."),
    }


def _channel(address: str, message: str, description: str) -> Schema:
    return {
        "address": address,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
    }


def _messages() -> Schema:
    raw = {"type": "object", "description": "The provider's body, byte for byte as it was signed."}
    return {
        "RawWebhook": _message("A signed webhook", _headers(HEADERS), raw),
        "UnreadableWebhook": _message(
            "A signed body that is no event",
            _headers(
                {
                    **{name: text for name, text in HEADERS.items() if name not in EVENT_HEADERS},
                    names.REASON: "Why no event could be read, e.g. `not_json`.",
                }
            ),
            {"description": "Any bytes."},
            content_type="application/octet-stream",
            keyed=False,
        ),
        "PaymentEvent": _message(
            "A provider-neutral event", _headers(HEADERS), {"$ref": f"./{PAYMENT_EVENT_FILE}"}
        ),
        "BadRecord": _message("A dead letter", _headers(HEADERS), {"$ref": f"./{BAD_RECORD_FILE}"}),
        "UnmodelledWebhook": _message(
            "A signed webhook without a model", _headers({**HEADERS, **SOURCE_HEADERS}), raw
        ),
    }


def _message(
    title: str,
    headers: Schema,
    payload: Schema,
    content_type: str = "application/json",
    *,
    keyed: bool = True,
) -> Schema:
    message = {
        "title": title,
        "contentType": content_type,
        "headers": headers,
        "payload": payload,
    }
    if not keyed:
        return message
    text = "The payment's id, else the object's, else the event's."
    key = {"type": "string", "description": text}
    return {**message, "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}}}


def _headers(described: Mapping[str, str]) -> Schema:
    properties: dict[str, Any] = {
        name: {"type": "string", "description": text} for name, text in described.items()
    }
    optional = {
        name: {"type": "string", "description": text} for name, text in REDRIVE_HEADERS.items()
    }
    return {
        "type": "object",
        "properties": properties | optional,
        "required": list(properties),
    }


def _pointer(address: str) -> str:
    """A name within a JSON pointer (RFC 6901)."""
    return address.replace("~", "~0").replace("/", "~1")
