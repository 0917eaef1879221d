"""Reads the client ledger: the attempts that were acknowledged, refused or never answered."""

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
"""Attempts this close to an end of the window are left out, because the clocks of the client and
the gateway differ. A window without that end, or with one clock for both, needs no margin."""


class Attempts(NamedTuple):
    """The number of attempts in the file, by whether they take part in the audit."""

    judged: int
    at_edge: int
    """Too close to an end of the window: two clocks may disagree."""
    outside: int
    """Clearly before or after the window."""
    unread: int
    """Lines that can't be read."""

    @property
    def nothing_judged(self) -> bool:
        """True if the audit covers no attempt at all."""
        return not self.judged


def read(
    path: Path, window: Window, reading: Reading, *, open_ended: bool, edge: timedelta = EDGE
) -> Attempts:
    """Add the attempts of the window to a reading; return how many attempts there are.

    Args:
        path: the file. `domain.client_ledger` describes its lines.
        window: the window of the audit.
        reading: takes the attempts.
        open_ended: the window ends now, so no attempt is too late.
        edge: the largest difference between the clocks of the client and the gateway.

    Raises:
        UserError: the file can't be read, or no line of it is an attempt.
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
        raise UserError(f"{path} is not a client ledger: none of its lines can be parsed.")
    return Attempts(judged, at_edge, lines - judged - at_edge - unread, unread)


def _sent_at(attempt: Attempt) -> datetime | None:
    """Return when the attempt was sent, or `None` if a field of the line is invalid."""
    try:
        at = datetime.fromisoformat(attempt.at)
        digest = bytes.fromhex(attempt.sha256)
    except (TypeError, ValueError):
        return None
    named = attempt.event_id is None or isinstance(attempt.event_id, str)
    return at if at.tzinfo and named and len(digest) == sha256().digest_size else None


def _tally(answer: object, reading: Reading) -> Tally:
    """Return the tally of an answer. A 5xx counts as no answer: Kafka may have the event."""
    hundreds = answer // 100 if isinstance(answer, int) else None
    if hundreds == 2:
        return reading.stages[Stage.ACKNOWLEDGED]
    return reading.refused if hundreds == 4 else reading.unanswered
