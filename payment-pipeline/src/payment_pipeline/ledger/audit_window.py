"""The window of receipt times that an audit covers."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from payment_pipeline.domain.failures import UserError

_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
_ROOM: Final = timedelta(days=1)
"""Distance of an end from the limits of the calendar: topics are read a little beyond an end."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Window(NamedTuple):
    """Receipt times (`received_at`, UTC) from `since`, included, to `until`, excluded."""

    since: datetime | None
    """`None`: from the first event."""
    until: datetime
    complete: bool = True
    """False if Kafka holds less than was asked for. `since` is then the earliest time it holds."""

    def __contains__(self, at: object) -> bool:
        if not isinstance(at, datetime):
            return False
        return at < self.until and (self.since is None or at >= self.since)

    def within(self, retention: timedelta, now: datetime) -> "Window":
        """Return the part of the window that topics hold whose oldest records were deleted.

        A topic deletes no record younger than its retention. Older records may still be there.
        """
        return self.after(now - retention)

    def after(self, held_since: datetime) -> "Window":
        """Return the part of the window from an instant on."""
        if self.since is not None and self.since >= held_since:
            return self
        return Window(held_since, max(self.until, held_since), complete=False)


def parse(since: str | None, until: str | None, now: datetime) -> Window:
    """Parse the ends of a window: RFC 3339, or `90s`, `15m`, `2h`, `7d` ago.

    Raises:
        UserError: an end can't be parsed, or the window is empty.
    """
    end = _instant(until, now) if until else now
    start = _instant(since, now) if since else None
    if start is not None and start >= end:
        raise UserError(f"The window is empty: {start} is not before {end}.")
    return Window(start, end)


def _instant(text: str, now: datetime) -> datetime:
    try:
        if ago := _AGO.fullmatch(text):
            at = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            at = datetime.fromisoformat(text)
        _ = at - _ROOM, at + _ROOM
    except (ValueError, OverflowError):
        raise UserError(
            f"{text!r} is not a time. Use RFC 3339 (2026-01-31T12:00:00Z) or 90s, 15m, 2h, 7d."
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
