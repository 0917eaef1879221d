"""When does a partition's next range close, and where does it end?

Pure: the caller says where the log ends and what time it is. Only offsets matter, so no record is
fetched; a gap in the log makes a range count fewer events, which is harmless.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from payment_pipeline.orchestrator.messages import OffsetRange


@dataclass
class Lane:
    """One partition on its way to bronze: everything below `position` was handed to Temporal."""

    topic: str
    partition: int
    position: int
    end: int = 0
    """The offset that the next record of the log will have."""
    waiting_since_s: float | None = None
    """When the first record that is not dispatched was seen."""
    closed: OffsetRange | None = None
    """Closed and not acknowledged yet: tried again as it is, so that its id stays the same."""
    under_way: int = 0
    """How many of its ranges are. What comes meanwhile waits until it is a full one or they are
    done: the busier the worker, the larger the ranges, and the fewer workflows bear their cost."""

    def __post_init__(self) -> None:
        self.end = max(self.end, self.position)

    @property
    def lag(self) -> int:
        """Offsets that are not dispatched yet."""
        return self.end - self.position

    def see(self, end: int, now_s: float) -> None:
        """Note where the log ends now."""
        self.end = max(self.end, end)
        if self.lag and self.waiting_since_s is None:
            self.waiting_since_s = now_s

    def close(self, events_max: int, wait_s: float, now_s: float) -> OffsetRange | None:
        """The next range, if it is full or has waited long enough."""
        if self.closed is None and self.waiting_since_s is not None:
            waited = now_s - self.waiting_since_s >= wait_s
            if waited or self.lag >= events_max:
                end = min(self.end, self.position + events_max)
                self.closed = OffsetRange(self.topic, self.partition, self.position, end)
        return self.closed

    def acknowledge(self, now_s: float) -> None:
        """Temporal has the closed range: go on behind it."""
        if self.closed is not None:
            self.position = self.closed.end
            self.closed = None
            self.waiting_since_s = now_s if self.lag else None


def due(
    lanes: Iterable[Lane], places: int, events_max: int, wait_s: float, now_s: float
) -> list[Lane]:
    """Whose range is to be started now: lanes that have waited longest, at most `places`."""
    waiting = [
        lane
        for lane in lanes
        if lane.waiting_since_s is not None and (not lane.under_way or lane.lag >= events_max)
    ]
    waiting.sort(key=lambda lane: lane.waiting_since_s or 0.0)
    found: list[Lane] = []
    for lane in waiting:
        # Asked only where there is a place: a range that can't start yet may still grow.
        if len(found) < places and lane.close(events_max, wait_s, now_s):
            found.append(lane)
    return found
