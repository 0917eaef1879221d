"""The Kafka topics and the content of their records."""

from typing import Final

DLQ_WEBHOOKS: Final = "webhooks.dlq"
"""Webhooks with a valid signature from whose body no event could be read."""
NORMALIZED: Final = "payments.normalized"
"""Each record is one `PaymentEvent` as JSON, keyed by payment."""
DLQ_VALIDATION: Final = "payments.validation.dlq"
"""Each record is one `BadRecord` as JSON: an event that could not become a `PaymentEvent`."""
UNMODELLED: Final = "payments.unmodelled"
"""Genuine events of a type without a model: the unchanged body with the raw record's headers."""

DEAD_LETTERS: Final = (DLQ_WEBHOOKS, DLQ_VALIDATION)
PIPELINE: Final = (DLQ_WEBHOOKS, NORMALIZED, DLQ_VALIDATION, UNMODELLED)


def raw(provider: str, resource: str) -> str:
    """The raw topic of a provider's unchanged webhooks about one resource.

    `resource` comes from the provider's closed list (`Provider.resources`), never from a body.
    """
    return f"webhooks.{provider}.{resource}"
