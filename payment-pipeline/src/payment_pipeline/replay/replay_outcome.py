"""What can a replayed event turn out to be, and what did a replay do?"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

NAMED_MAX: Final = 100
"""How many events of a standing are named; the count beside is the true one."""


class Standing(StrEnum):
    """How an event stands to bronze and the quarantine."""

    UNCHANGED = "unchanged"
    CORRECTED = "corrected"
    SENT_ON = "sent_on"
    """In no table: put on `payments.normalized` again, to be scored and written like a new one; or,
    if no model covers it and `payments.unmodelled` has not got it either, on that."""
    QUARANTINED = "quarantined"
    """Rejected, and in no table: written to the quarantine."""
    MENDED = "mended"
    """Rejected when it came, and taken today: sent on, and its dead letter is closed for it."""
    REDRIVABLE = "redrivable"
    """Taken today, and in the quarantine for a person: dismissed, in conflict, or redriven with a
    patch."""
    STILL_REJECTED = "still_rejected"
    """In the quarantine, and rightly so."""
    UNMODELLED = "unmodelled"
    """On `payments.unmodelled`, or in the quarantine, since an earlier normalizer rejected it."""
    NO_LONGER_TAKEN = "no_longer_taken"
    """In bronze, but today's code makes no event of it, or PostgreSQL won't take what it makes: the
    row stays, and a person decides."""


class Named(NamedTuple):
    """One event, and what there is to say of it."""

    provider: str
    event_id: str
    about: str


@dataclass
class Report:
    """What a replay did, or with `dry_run` would do."""

    by: str
    """Its name, as in `payment_events_history.corrected_by`."""
    dry_run: bool
    complete: bool = True
    """False if the topics no longer hold the whole window."""
    records: int = 0
    """Raw records of the window, duplicate deliveries included."""
    standings: Counter[Standing] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    """How many corrections changed which column."""
    named: dict[Standing, list[Named]] = field(default_factory=dict)
    letters_closed: int = 0
    """Dead letters whose event bronze has now."""
    letters_open: int = 0
    """Those that wait for theirs; in a dry run, all that would be closed."""
    refolded: int = 0
    """Entities whose online features were folded anew."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing is left for a person."""
        done = self.dry_run or not self.letters_open
        return self.complete and done and not self.standings[Standing.NO_LONGER_TAKEN]

    def note(self, standing: Standing, provider: str, event_id: str | None, about: str) -> None:
        """Count one, and name it while there is room."""
        self.standings[standing] += 1
        names = self.named.setdefault(standing, [])
        if len(names) < NAMED_MAX:
            names.append(Named(provider, event_id or "", about))
