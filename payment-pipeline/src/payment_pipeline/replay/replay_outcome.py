"""The outcomes of replayed events, and the result of a replay."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

NAMED_MAX: Final = 100
"""How many events of an outcome are named. `Report.outcomes` counts all of them."""


class ReplayOutcome(StrEnum):
    """The outcome of one replayed event."""

    UNCHANGED = "unchanged"
    CORRECTED = "corrected"
    SENT_ON = "sent_on"
    """In no table: sent to `payments.normalized`, to be scored and written like a new event; or to
    `payments.unmodelled`, if no model covers it and that topic does not have it."""
    QUARANTINED = "quarantined"
    """Rejected and in no table: written to the quarantine."""
    MENDED = "mended"
    """Rejected at its receipt and valid today: sent on, and its dead letter is closed."""
    REDRIVABLE = "redrivable"
    """Valid today, and in the quarantine by a person's decision: dismissed, in conflict, or
    redriven with a patch."""
    STILL_REJECTED = "still_rejected"
    """Rejected today too, and in the quarantine."""
    UNMODELLED = "unmodelled"
    """On `payments.unmodelled`, or in the quarantine because an earlier normalizer rejected it."""
    NO_LONGER_TAKEN = "no_longer_taken"
    """In bronze, but today's code rejects it, or PostgreSQL refuses the new row. The row stays, and
    a person must decide."""


class Named(NamedTuple):
    """One event, with a remark."""

    provider: str
    event_id: str
    about: str


@dataclass
class Report:
    """The result of a replay; with `dry_run` what it would do."""

    by: str
    """Name of the replay, as in `payment_events_history.corrected_by`."""
    dry_run: bool
    complete: bool = True
    """False if the topics no longer hold the whole window."""
    records: int = 0
    """Raw records of the window, including duplicate deliveries."""
    outcomes: Counter[ReplayOutcome] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    """Number of corrections by changed column."""
    named: dict[ReplayOutcome, list[Named]] = field(default_factory=dict)
    letters_closed: int = 0
    """Dead letters that were closed because bronze has their event now."""
    letters_open: int = 0
    """Dead letters that wait for their event; in a dry run, all that would be closed."""
    refolded: int = 0
    """Entities whose online features were recomputed."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True if nothing is left for a person to do."""
        done = self.dry_run or not self.letters_open
        return self.complete and done and not self.outcomes[ReplayOutcome.NO_LONGER_TAKEN]

    def note(self, outcome: ReplayOutcome, provider: str, event_id: str | None, about: str) -> None:
        """Count an event, and name it while there is room."""
        self.outcomes[outcome] += 1
        names = self.named.setdefault(outcome, [])
        if len(names) < NAMED_MAX:
            names.append(Named(provider, event_id or "", about))
