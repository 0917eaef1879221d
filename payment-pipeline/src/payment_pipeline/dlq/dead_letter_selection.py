"""Which dead letters does a person mean?"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError, UserError
from payment_pipeline.ledger import audit_window

LETTERS_MAX: Final = 100_000
"""Of one call; their ids are held in memory."""


class Selection(NamedTuple):
    """A filter; what isn't given is `None` and excludes nothing."""

    failures: tuple[str, ...] | None = None
    error: str | None = None
    """Part of an error as `payments dlq list` shows it; case doesn't matter."""
    event_types: tuple[str, ...] | None = None
    """The provider's names."""
    since: datetime | None = None
    """Of the receipt, as `until`, which is not included."""
    until: datetime | None = None
    ids: tuple[str, ...] | None = None
    """Letters' ids, events' ids, or sources."""
    conflicts: bool = False
    """Letters whose id came before with another body, too."""
    limit: int = LETTERS_MAX

    def takes(self, letter: BadRecord) -> bool:
        """Whether a letter that is not in the quarantine yet is meant; as the query `select`."""
        return (
            (self.failures is None or letter.failure in self.failures)
            and (self.error is None or any(map(self._is_in, letter.errors)))
            and (self.event_types is None or letter.provider_event_type in self.event_types)
            and (self.since is None or letter.received_at >= self.since)
            and (self.until is None or letter.received_at < self.until)
            and (self.ids is None or bool({letter.event_id, str(letter.source)} & {*self.ids}))
        )

    def _is_in(self, error: FieldError) -> bool:
        return (self.error or "").lower() in error.line.lower()


def select(
    failures: Sequence[str] = (),
    error: str | None = None,
    event_types: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    ids: Sequence[str] = (),
    *,
    everything: bool = False,
    conflicts: bool = False,
    limit: int = LETTERS_MAX,
) -> Selection:
    """A filter from the command line's words.

    Raises:
        UserError: a class or a time isn't one; or nothing was said, and not `everything` either.
    """
    for failure in failures:
        if failure not in list(FailureClass):
            raise UserError(f"No class {failure}: there are {', '.join(FailureClass)}.")
    if not (everything or failures or error or event_types or since or until or ids):
        raise UserError("Say which letters: --class, --error, --type, --since, --id, or --all.")
    if FailureClass.CONFLICTING_BODY in failures and not conflicts:
        raise UserError(
            "A conflict is an event whose id bronze holds with another body, and bronze keeps the "
            "first: look at both with `payments dlq show`, then dismiss the second, or say "
            "--conflicts to have it tried all the same."
        )
    start = end = None
    if since or until:
        start, end, _ = audit_window.parse(since, until, datetime.now(UTC))
    return Selection(
        tuple(failures) or None,
        error or None,
        tuple(event_types) or None,
        start,
        end,
        tuple(ids) or None,
        conflicts,
        limit,
    )
