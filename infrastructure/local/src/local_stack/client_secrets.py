"""The secrets with which a component connects to a Kafka or a Temporal that runs elsewhere."""

from typing import Final

KAFKA: Final = ("kafka_password",)
TEMPORAL: Final = ("temporal_api_key", "temporal_payload_keys")
