"""The published contracts of the topics, generated from the types.

`docs/contracts/` holds a JSON Schema for each message and an AsyncAPI 3.0 document of all topics.
They are committed, and CI compares them with the types.
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

from .compatibility import Schema, schema_version, unannounced_breaks

FOLDER: Final = Path("docs/contracts")
"""Relative to the root folder of the repository, where the command must be run."""
PAYMENT_EVENT_FILE: Final = "payment_event.schema.json"
BAD_RECORD_FILE: Final = "bad_record.schema.json"
ASYNCAPI_FILE: Final = "asyncapi.json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

HEADERS: Final[Mapping[str, str]] = {
    names.CE_SPECVERSION: "CloudEvents version, `1.0`.",
    names.CE_ID: "The provider's event id.",
    names.CE_TYPE: "The provider's event type.",
    names.CE_SOURCE: "`/webhooks/<provider>`, then `/<account>` for a connected account's event.",
    names.CE_TIME: "Time of the event by the provider's clock, RFC 3339 in UTC.",
    names.TRACEPARENT: "W3C Trace Context of the receipt.",
    names.BODY_SHA256: "Lower-case hex SHA-256 of the signed body.",
    names.IDENTITY_SHA256: "Lower-case hex SHA-256 of what makes two deliveries the same event. "
    "If it is absent, `body_sha256` identifies the event.",
    names.RECEIVED_AT: "Time when the gateway had the whole body, RFC 3339 in UTC.",
    names.VERDICT: "How the signature was verified.",
}
SOURCE_HEADERS: Final[Mapping[str, str]] = {
    names.SOURCE_TOPIC: "The raw topic that the value was copied from.",
    names.SOURCE_PARTITION: "Partition of the raw record, in decimal digits.",
    names.SOURCE_OFFSET: "Offset of the raw record, in decimal digits.",
}
REDRIVE_HEADERS: Final[Mapping[str, str]] = {
    names.REDRIVEN_FROM: "`topic/partition/offset` of the record whose dead letter was redriven.",
    names.PATCHED_FROM: "SHA-256 of the signed body, if a redrive patched the body.",
}
"""Headers that only records sent by `payments dlq redrive` have."""
EVENT_HEADERS: Final = (names.CE_SPECVERSION, names.CE_ID, names.CE_TYPE, names.CE_TIME)
"""Headers that records on `webhooks.dlq` lack, because no event could be read from their bodies."""


def documents() -> dict[str, Schema]:
    """Return every document by file name, generated from today's types."""
    return {
        PAYMENT_EVENT_FILE: _payment_event(),
        BAD_RECORD_FILE: _bad_record(),
        ASYNCAPI_FILE: _asyncapi(),
    }


def write(folder: Path = FOLDER) -> tuple[str, ...]:
    """Write the documents that have changed; return their file names.

    Raises:
        UserError: a change would break consumers of the published contract.
    """
    stale = _stale(folder)
    breaks = [
        f"{name}: {problem}"
        for name in stale
        if (folder / name).exists()
        for problem in breaking_changes(name, json.loads((folder / name).read_text()), stale[name])
    ]
    if breaks:
        raise UserError(
            f"The change breaks consumers: {'; '.join(breaks)}. "
            "Raise schema_version or undo the change.",
            1,
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in stale.items():
        (folder / name).write_text(_text(document))
    return tuple(stale)


def breaking_changes(name: str, published: Schema, new: Schema) -> tuple[str, ...]:
    """Return the changes that break consumers of the published document without a new version."""
    if name != ASYNCAPI_FILE:
        return unannounced_breaks(published, new)
    gone = published["channels"].keys() - new["channels"].keys()
    return (*(f"{topic} is gone" for topic in sorted(gone)), *_missed_headers(published, new))


def _missed_headers(published: Schema, new: Schema) -> Iterator[str]:
    """Yield each header that is gone, or that is no longer in every message."""
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
    """Compare the published documents with the types.

    Raises:
        UserError: they differ; the message names the files.
    """
    if stale := _stale(folder):
        raise UserError(f"Out of date: {', '.join(stale)}. Run `payments contracts`.", 1)


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
    # The mode of a reader: a field that is null is left out of the message.
    schema = PAYMENT_EVENT.json_schema(mode="validation")
    return {"$schema": DIALECT, "title": "PaymentEvent", **schema}


def _bad_record() -> Schema:
    # The mode of a writer: a bad record is written with all its fields.
    return {"$schema": DIALECT, **BadRecord.model_json_schema(mode="serialization")}


def _asyncapi() -> Schema:
    addresses = {**_raw_channels(), **_pipeline_channels()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Payment pipeline",
            "version": f"{schema_version(_payment_event())}.0.0",
            "description": (
                "Signed payment webhooks on their way to the warehouse. The key of every record "
                "is its payment, so the events of one payment stay in order. Only records on "
                f"`{topics.DLQ_WEBHOOKS}` have no key, because no event could be read from them. "
                "Delivery is at least once: a repeated event has the same event id, a repeated "
                "dead letter the same source."
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
            f"Webhooks of {provider.name} about {resource}, unchanged.",
        )
        for provider in providers().values()
        for resource in provider.resources
    }


def _pipeline_channels() -> dict[str, tuple[str, str]]:
    return {
        topics.DLQ_WEBHOOKS: (
            "UnreadableWebhook",
            "Signed bodies from which no event could be read.",
        ),
        topics.NORMALIZED: ("PaymentEvent", "All events that a model covers."),
        topics.DLQ_VALIDATION: ("BadRecord", "Events that could not become a valid PaymentEvent."),
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
    text = "The payment's id; without one the object's id; without one the event's id."
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
    """Escape a name for a JSON pointer (RFC 6901)."""
    return address.replace("~", "~0").replace("/", "~1")
