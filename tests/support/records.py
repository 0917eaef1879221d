"""Kafka records as a consumer receives them, made without a broker."""

from aiokafka import ConsumerRecord

WRITTEN_AT_MS = 1_700_000_000_000


def record(
    topic: str,
    value: bytes | None,
    headers: tuple[tuple[str, bytes], ...] = (),
    *,
    key: bytes | None = b"pi_1",
    partition: int = 2,
    offset: int = 7,
) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=WRITTEN_AT_MS,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=headers,
    )
