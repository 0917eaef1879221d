"""A webhook as it lies on a raw topic, and the coordinates that name it for good."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, NamedTuple, Self

from pydantic import ConfigDict, Field

_COORDINATES: Final = re.compile(r"([\w.-]{1,249})/([0-9]{1,9})/([0-9]{1,18})", re.ASCII)
"""A topic's name as Kafka allows it; numbers that fit 32 and 64 bits."""


# Validated where one is read from JSON. One is made for each record, and has what Kafka says.
@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a record lies in Kafka: the key that makes every later write idempotent."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What `str` made of them; `None` if it is no such text."""
        found = _COORDINATES.fullmatch(text)
        return cls(found[1], int(found[2]), int(found[3])) if found else None


class RawEvent(NamedTuple):
    """One record of a `webhooks.<provider>.<resource>` topic.

    A plain tuple, not a model: nothing here is trusted or parsed yet, and one is made per record.
    """

    provider: str
    coordinates: Coordinates
    body: bytes
    """Exactly the bytes that were signed."""
    event_id: str | None
    """What the gateway read as the event's id; `None` on `webhooks.dlq`."""
    body_sha256: str
    received_at: datetime
    verdict: str
    traceparent: str | None
    event_type: str | None = None
    """What the gateway read as the provider's type; `None` on `webhooks.dlq`."""
