"""Which trace does an event belong to? W3C Trace Context, version 00, as a header has it."""

import os
import re
from typing import Final, Protocol

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def child_of(traceparent: str | None) -> str:
    """A new span's traceparent: in the given trace, or in a new one when the given isn't valid.

    Only what matches the format to the letter is taken over, so it is safe to give a header of a
    stranger's. A new trace is marked as sampled; a child keeps its parent's flags.
    """
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        return f"{traceparent[:36]}{os.urandom(8).hex()}{traceparent[52:]}"
    fresh = os.urandom(24).hex()
    return f"00-{fresh[:32]}-{fresh[32:]}-01"


def trace_id(traceparent: str | None) -> str | None:
    """The trace's id for a log line, or `None`."""
    if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
        return None
    return traceparent[3:35]


def is_sampled(traceparent: str | None) -> bool:
    """Whether who started the trace wants its spans kept."""
    return trace_id(traceparent) is not None and int(str(traceparent)[53:], 16) & 1 == 1


class OfEvent(Protocol):
    """Whatever is about one event: raw, normalized or set aside."""

    @property
    def event_id(self) -> str | None:
        """The provider's."""

    @property
    def traceparent(self) -> str | None:
        """Of the receipt."""


def of_event(about: OfEvent) -> dict[str, str | None]:
    """What every log line that concerns an event says of it."""
    return {"event_id": about.event_id, "trace_id": trace_id(about.traceparent)}
