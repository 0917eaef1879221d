"""What does the client's own ledger say was acknowledged, refused, or never answered?"""

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from payment_pipeline.domain import client_ledger
from payment_pipeline.domain.client_ledger import Attempt
from payment_pipeline.domain.failures import UserError

from .audit_window import Window
from .stage_tally import UNSTATED, Seen, Tally
from .stages import Reading, Stage

EDGE: Final = timedelta(minutes=1)
"""The client's clock and the gateway's differ: attempts so near to the window's ends are left out,
unless the window has no such end, or the clocks are known to be one."""


class Attempts(NamedTuple):
    """How many attempts of the file take part in an audit, and how many don't."""

    judged: int
    at_edge: int
    """So near to an end of the window that two clocks may differ about them."""
    outside: int
    """Clearly before or after the window."""
    unread: int
    """Lines that can't be read."""

    @property
    def nothing_judged(self) -> bool:
        """The window leaves out every attempt that there is, or there is none."""
        return not self.judged


def read(
    path: Path, window: Window, reading: Reading, *, open_ended: bool, edge: timedelta = EDGE
) -> Attempts:
    """Add the file's attempts within the window; return how many those are, and the others.

    Args:
        path: the file, as `domain.client_ledger` describes it.
        window: `since` and `until` of the audit.
        reading: where they are added.
        open_ended: the window ends now, so that no attempt is too late for it.
        edge: how far the client's clock and the gateway's may be apart.

    Raises:
        UserError: there is no such file, or nothing in it is a client's ledger.
    """
    ends = [end for end in (window.since, None if open_ended else window.until) if end]
    lines = judged = at_edge = unread = 0
    try:
        with path.open("rb") as file:
            for line in file:
                lines += 1
                attempt = client_ledger.load(line)
                at = _sent_at(attempt) if attempt else None
                if attempt is None or at is None:
                    unread += 1
                elif any(-edge <= at - end < edge for end in ends):
                    at_edge += 1
                elif (window.since is None or at >= window.since) and (
                    open_ended or at < window.until
                ):
                    judged += 1
                    seen = Seen(None, attempt.event_id, attempt.sha256, UNSTATED)
                    _tally(attempt.answer, reading).add(seen)
    except OSError as error:
        raise UserError(f"The client ledger {path} can't be read: {error.strerror}.") from None
    if lines and unread == lines:
        raise UserError(f"{path} is no client ledger: not one of its lines can be read.")
    return Attempts(judged, at_edge, lines - judged - at_edge - unread, unread)


def _sent_at(attempt: Attempt) -> datetime | None:
    """When it was sent; `None` if a field of the line isn't what it should be."""
    try:
        at = datetime.fromisoformat(attempt.at)
        digest = bytes.fromhex(attempt.sha256)
    except (TypeError, ValueError):
        return None
    named = attempt.event_id is None or isinstance(attempt.event_id, str)
    return at if at.tzinfo and named and len(digest) == sha256().digest_size else None


def _tally(answer: object, reading: Reading) -> Tally:
    """A 5xx is no answer: what timed out in the gateway may be in Kafka all the same."""
    hundreds = answer // 100 if isinstance(answer, int) else None
    if hundreds == 2:
        return reading.stages[Stage.ACKNOWLEDGED]
    return reading.refused if hundreds == 4 else reading.unanswered
