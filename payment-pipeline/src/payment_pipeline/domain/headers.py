"""The names of the Kafka headers that a webhook carries, from the gateway to the last topic.

The standards are CloudEvents 1.0, Kafka protocol binding in binary mode (`ce_` attributes), and W3C
Trace Context (`traceparent`). The gateway adds the other headers when it receives a webhook.
"""

from typing import Final, TypeAlias

CE_SPECVERSION: Final = "ce_specversion"
CE_ID: Final = "ce_id"
CE_TYPE: Final = "ce_type"
CE_SOURCE: Final = "ce_source"
"""`/webhooks/<provider>`, or `/webhooks/<provider>/<account>` for a connected account."""
CE_TIME: Final = "ce_time"
"""When the provider says it happened, RFC 3339 in UTC."""
TRACEPARENT: Final = "traceparent"
BODY_SHA256: Final = "body_sha256"
"""Lower-case hex SHA-256 of the signed body, which is the record's value."""
IDENTITY_SHA256: Final = "identity_sha256"
"""Lower-case hex SHA-256 of what makes two deliveries the same event; absent: `body_sha256`."""
RECEIVED_AT: Final = "received_at"
"""When the gateway had the whole body, RFC 3339 in UTC with microseconds."""
VERDICT: Final = "verdict"
"""How the gateway verified the body: provider and fingerprint of the secret.

For example `verified:stripe:9f2c1a00`. See `PROVENANCE` for the other form.
"""
REASON: Final = "reason"
"""Only on `webhooks.dlq`: why no event could be read from the body, e.g. `not_json`."""
SOURCE_TOPIC: Final = "source_topic"
"""Only on `payments.unmodelled`: the topic of the raw record that the value was copied from."""
SOURCE_PARTITION: Final = "source_partition"
"""The partition of that raw record, in decimal digits."""
SOURCE_OFFSET: Final = "source_offset"
"""The offset of that raw record, in decimal digits."""

PROVENANCE: Final = "provenance"
"""Only on records that no webhook brought: `api`, if the provider's API was asked for the event.

Their `verdict` is `fetched:<provider>:<fingerprint of the API key>`: the provider was known by its
certificate, and the body has no signature.
"""
REDRIVEN_FROM: Final = "redriven_from"
"""Only on redriven records: `topic/partition/offset` of the rejected record."""
PATCHED_FROM: Final = "patched_from"
"""Only on redriven records with a patch: the SHA-256 of the signed body.

The value of such a record is not the signed body. `verdict` belongs to the signed body.
"""

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
