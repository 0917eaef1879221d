"""Which receipts does an audit look at?"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from payment_pipeline.domain.failures import UserError

_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
_ROOM: Final = timedelta(days=1)
"""Between an end and the calendar's: clocks differ, so those who read topics look beyond an end."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Window(NamedTuple):
    """What the gateway received from `since` on and before `until`, by `received_at`, in UTC."""

    since: datetime | None
    """`None` is from the first event on."""
    until: datetime
    complete: bool = True
    """False if more was asked for: Kafka holds no more, and `since` is where it begins."""

    def __contains__(self, at: object) -> bool:
        if not isinstance(at, datetime):
            return False
        return at < self.until and (self.since is None or at >= self.since)

    def within(self, retention: timedelta, now: datetime) -> "Window":
        """As much of the window as topics that have lost records still hold.

        A topic deletes nothing younger than its retention; what is older may be there or not.
        """
        return self.after(now - retention)

    def after(self, held_since: datetime) -> "Window":
        """As much of the window as is not before an instant."""
        if self.since is not None and self.since >= held_since:
            return self
        return Window(held_since, max(self.until, held_since), complete=False)


def parse(since: str | None, until: str | None, now: datetime) -> Window:
    """A window from its ends as a person gives them: RFC 3339, or `90s`, `15m`, `2h`, `7d` ago.

    Raises:
        UserError: an end can't be read, or the window is empty.
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
            f"{text!r} is no time: give RFC 3339 (2026-01-31T12:00:00Z) or 90s, 15m, 2h, 7d ago."
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
