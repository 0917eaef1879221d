"""The filter that chooses dead letters, from the options of the command line."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError, UserError
from payment_pipeline.ledger import audit_window

LETTERS_MAX: Final = 100_000
"""Dead letters of one call. Their ids are held in memory."""


class Selection(NamedTuple):
    """A filter. A field that is `None` excludes nothing."""

    failures: tuple[str, ...] | None = None
    error: str | None = None
    """Part of an error as `payments dlq list` shows it, in any case."""
    event_types: tuple[str, ...] | None = None
    """The provider's names of event types."""
    since: datetime | None = None
    """Earliest receipt time; `until` is the first one that is excluded."""
    until: datetime | None = None
    ids: tuple[str, ...] | None = None
    """Ids of dead letters, ids of events, or source coordinates."""
    conflicts: bool = False
    """Include dead letters whose event id bronze has with another body."""
    limit: int = LETTERS_MAX

    def takes(self, letter: BadRecord) -> bool:
        """Tell whether the filter includes a dead letter that is not in the quarantine yet.

        The query `select` is the same filter for the quarantine.
        """
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
    """Build a filter from the options of the command line.

    Raises:
        UserError: a class or a time is invalid, or there is neither a filter nor `everything`.
    """
    for failure in failures:
        if failure not in list(FailureClass):
            raise UserError(f"No failure class {failure}: there are {', '.join(FailureClass)}.")
    if not (everything or failures or error or event_types or since or until or ids):
        raise UserError("Choose dead letters: --class, --error, --type, --since, --id, or --all.")
    if FailureClass.CONFLICTING_BODY in failures and not conflicts:
        raise UserError(
            "A conflict is an event whose id bronze has with another body. Bronze keeps the first. "
            "Look at both with `payments dlq show`, then dismiss the second one, or add "
            "--conflicts to redrive it."
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
