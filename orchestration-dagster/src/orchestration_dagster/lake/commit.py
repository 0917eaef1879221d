"""Did a change get into the lake? Asked of the table itself, never of the answer to a commit.

A commit takes effect only if the table's snapshot is still the one that the writer read (Iceberg's
`assert-ref-snapshot-id`, which every change here carries, since every change makes a snapshot). So
of two writers that read the same watermark one succeeds. An answer may be lost on its way: whatever
went wrong, the table is read again, and the batch id in its snapshots' summaries tells.
"""

from collections.abc import Callable, Mapping
from time import sleep
from typing import Final, NamedTuple, TypeAlias
from uuid import uuid4

import requests
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, RESTError
from pyiceberg.table import Table, Transaction

from .watermark import BATCH_PROPERTY, Watermark

ATTEMPTS_MAX: Final = 5
"""Commits of one change that may fail before a run gives up; Dagster tries the run again."""
FIRST_WAIT_S: Final = 0.1
"""Before the second attempt; doubled before each one after it."""

_FAILURES: Final = (
    CommitFailedException,
    CommitStateUnknownException,
    RESTError,
    requests.RequestException,
    OSError,
)


class Outcome(NamedTuple):
    """What a change does, once it is in the table."""

    rows: int
    """Appended."""
    replaced: int
    """Deleted, since another state of them was appended, or bronze has them no more."""
    watermark: Watermark
    """What the table says of itself from then on."""


SnapshotProperties: TypeAlias = dict[str, str]
Change: TypeAlias = Callable[[Table, Transaction, SnapshotProperties], Outcome | None]
"""Reads what it needs, puts the rows on the transaction and the properties on every snapshot that
it makes; None when there is nothing to change. Called again with the table as it is by then."""


def settle(lake: Table, change: Change) -> Outcome | None:
    """Make a change, in one commit, exactly once; `lake` is then as the catalog has it.

    Raises:
        CommitFailedException, CommitStateUnknownException, RESTError, OSError: it is not in the
            table after `ATTEMPTS_MAX` attempts; or the catalog doesn't answer, and what became of
            the last attempt is for the next load to see.
    """
    for attempt in range(ATTEMPTS_MAX):
        batch = {BATCH_PROPERTY: uuid4().hex}
        outcome = None
        try:
            transaction = lake.transaction()
            outcome = change(lake, transaction, batch)
            if outcome:
                transaction.set_properties(outcome.watermark.to_properties() | batch)
                transaction.commit_transaction()
        except _FAILURES:
            lake.refresh()
            if _holds(lake, batch):
                return outcome
            if attempt == ATTEMPTS_MAX - 1:
                raise
            sleep(FIRST_WAIT_S * 2**attempt)
        else:
            return outcome
    raise AssertionError("the last attempt returns or raises")


def _holds(lake: Table, batch: Mapping[str, str]) -> bool:
    """Whether a snapshot of the table's is of this batch."""
    return any(
        snapshot.summary is not None
        and snapshot.summary.additional_properties.items() >= batch.items()
        for snapshot in lake.metadata.snapshots
    )
