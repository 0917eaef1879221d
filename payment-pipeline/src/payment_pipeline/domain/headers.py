"""The Kafka headers of a webhook, from the gateway to the last topic.

CloudEvents 1.0, Kafka protocol binding in binary mode (`ce_` attributes), W3C Trace Context
(`traceparent`), and what the receipt itself established.
"""

from typing import Final, TypeAlias

CE_SPECVERSION: Final = "ce_specversion"
CE_ID: Final = "ce_id"
CE_TYPE: Final = "ce_type"
CE_SOURCE: Final = "ce_source"
"""`/webhooks/<provider>`, followed by `/<account>` for an event of a connected account."""
CE_TIME: Final = "ce_time"
"""When the provider says it happened, RFC 3339 in UTC."""
TRACEPARENT: Final = "traceparent"
BODY_SHA256: Final = "body_sha256"
"""Lower-case hex SHA-256 of the record's value, byte for byte what was signed."""
RECEIVED_AT: Final = "received_at"
"""When the gateway had the whole body, RFC 3339 in UTC with microseconds."""
VERDICT: Final = "verdict"
"""How the receipt was verified, e.g. `verified:stripe:9f2c1a` (which secret, by fingerprint)."""
REASON: Final = "reason"
"""On `webhooks.dlq` only: why no event could be read, e.g. `not_json`."""
SOURCE_TOPIC: Final = "source_topic"
"""With the next two, on `payments.unmodelled` only: which raw record the value was copied from."""
SOURCE_PARTITION: Final = "source_partition"
"""Decimal digits, as is the offset."""
SOURCE_OFFSET: Final = "source_offset"

REDRIVEN_FROM: Final = "redriven_from"
"""On what a redrive sent only: `topic/partition/offset` of the record whose dead letter it was."""
PATCHED_FROM: Final = "patched_from"
"""On what a redrive patched only: the SHA-256 of the body that was signed, which this one is not.
`verdict` is that body's."""

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
