"""The `traceparent` of an event: W3C Trace Context, version 00, as it is in a header."""

import os
import re
from typing import Final, Protocol

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def child_of(traceparent: str | None) -> str:
    """Return a new span's traceparent, in the given trace or, if that is not valid, in a new one.

    A value is accepted only if it matches the format exactly, so headers of unknown senders are
    safe. A new trace is marked as sampled; a child keeps its parent's flags.
    """
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        return f"{traceparent[:36]}{os.urandom(8).hex()}{traceparent[52:]}"
    fresh = os.urandom(24).hex()
    return f"00-{fresh[:32]}-{fresh[32:]}-01"


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace's id for a log line, or `None` if the traceparent is not valid."""
    if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
        return None
    return traceparent[3:35]


def is_sampled(traceparent: str | None) -> bool:
    """Return the sampled flag; false if the traceparent is not valid."""
    return trace_id(traceparent) is not None and int(str(traceparent)[53:], 16) & 1 == 1


class OfEvent(Protocol):
    """A raw, normalized or rejected event."""

    @property
    def event_id(self) -> str | None:
        """The provider's event id."""

    @property
    def traceparent(self) -> str | None:
        """The traceparent of the receipt."""


def of_event(about: OfEvent) -> dict[str, str | None]:
    """Return the fields of every log line about an event."""
    return {"event_id": about.event_id, "trace_id": trace_id(about.traceparent)}
