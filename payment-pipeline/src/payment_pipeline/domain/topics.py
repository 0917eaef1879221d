"""Which Kafka topics exist, and what a record on them carries."""

from typing import Final

DLQ_WEBHOOKS: Final = "webhooks.dlq"
"""Signed by the provider, but no event could be read from the body."""
NORMALIZED: Final = "payments.normalized"
"""One `PaymentEvent` as JSON a record, keyed by payment."""
DLQ_VALIDATION: Final = "payments.validation.dlq"
"""One `BadRecord` as JSON a record: events that no valid `PaymentEvent` could be made of."""
UNMODELLED: Final = "payments.unmodelled"
"""Genuine events of a type that no model covers: the body unchanged, headers of the raw record."""

DEAD_LETTERS: Final = (DLQ_WEBHOOKS, DLQ_VALIDATION)
PIPELINE: Final = (DLQ_WEBHOOKS, NORMALIZED, DLQ_VALIDATION, UNMODELLED)


def raw(provider: str, resource: str) -> str:
    """The topic of a provider's unchanged webhooks about one kind of resource.

    `resource` comes from a closed list of the provider's (`Provider.resources`), never from a body.
    """
    return f"webhooks.{provider}.{resource}"
