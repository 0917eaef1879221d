"""A record of a raw topic, and the coordinates that identify it."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, NamedTuple, Self

from pydantic import ConfigDict, Field

_COORDINATES: Final = re.compile(r"([\w.-]{1,249})/([0-9]{1,9})/([0-9]{1,18})", re.ASCII)
"""A topic name that Kafka allows, and numbers that fit 32 and 64 bits."""


# A plain dataclass, because one is made for each record from what Kafka says. Pydantic validates it
# only when it is read from JSON.
@dataclass(frozen=True, slots=True)
class Coordinates:
    """Topic, partition and offset of a Kafka record: the key that makes later writes idempotent."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads the text that `str` gives; `None` for any other text."""
        found = _COORDINATES.fullmatch(text)
        return cls(found[1], int(found[2]), int(found[3])) if found else None


class RawEvent(NamedTuple):
    """One record of a `webhooks.<provider>.<resource>` topic.

    It is a plain tuple and not a Pydantic model: its body is not parsed yet, and one is made for
    each record.
    """

    provider: str
    coordinates: Coordinates
    body: bytes
    """The signed bytes, unchanged."""
    event_id: str | None
    """The event's id as the gateway read it; `None` on `webhooks.dlq`."""
    body_sha256: str
    received_at: datetime
    verdict: str
    traceparent: str | None
    event_type: str | None = None
    """The provider's event type as the gateway read it; `None` on `webhooks.dlq`."""
    identity_sha256: str | None = None
    """`Envelope.identity_sha256`; `None` where it is `body_sha256`."""
