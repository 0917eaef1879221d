"""Did a change get into the lake? Asked of the table itself, never of the answer to a commit.

A commit takes effect only if the table's snapshot is still the one that the writer read (Iceberg's
`assert-ref-snapshot-id`, which every change here carries, since every change makes a snapshot). So
of two writers that read the same watermark one succeeds. An answer may be lost on its way: whatever
went wrong, the table is read again, and the batch id in its snapshots' summaries tells. The rows'
files of an attempt that was overtaken go at once: people are in them who may be erased next.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import sleep
from typing import Final, NamedTuple, TypeAlias
from uuid import uuid4

import requests
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, RESTError
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from .data_files import referenced_files
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
        outcome, written, before = None, set[str](), lake.metadata
        try:
            transaction = lake.transaction()
            outcome = change(lake, transaction, batch)
            if outcome:
                written = _written(lake, _of(batch, transaction.table_metadata))
                transaction.set_properties(outcome.watermark.to_properties() | batch)
                transaction.commit_transaction()
        except _FAILURES:
            lake.refresh()
            if _of(batch, lake.metadata):
                return outcome
            if lake.metadata.current_snapshot_id != before.current_snapshot_id:
                with suppress(*_FAILURES):
                    _discard(lake, written, before)
            if attempt == ATTEMPTS_MAX - 1:
                raise
            sleep(FIRST_WAIT_S * 2**attempt)
        else:
            return outcome
    raise AssertionError("the last attempt returns or raises")


def _of(batch: Mapping[str, str], table: TableMetadata) -> list[Snapshot]:
    """Which of a table's snapshots are of this batch; none if it didn't take effect."""
    return [
        snapshot
        for snapshot in table.snapshots
        if snapshot.summary and snapshot.summary.additional_properties.items() >= batch.items()
    ]


def _written(lake: Table, made: Iterable[Snapshot]) -> set[str]:
    """The files of rows that these snapshots brought.

    Asked for before the commit: of one that is refused PyIceberg deletes the manifests, and leaves
    the rows.
    """
    return {
        entry.data_file.file_path
        for snapshot in made
        for manifest in snapshot.manifests(lake.io)
        if manifest.added_snapshot_id == snapshot.snapshot_id
        for entry in manifest.fetch_manifest_entry(lake.io)
        if entry.status == ManifestEntryStatus.ADDED
    }


def _discard(lake: Table, written: set[str], before: TableMetadata) -> None:
    """Delete what an attempt wrote that can't take effect any more.

    The table has moved on from the snapshot that it insisted on. While it has not, the attempt may
    yet take effect, and what becomes of its files is the upkeep's to see. What the table knows
    stays in any case: the attempt may have taken effect, and its snapshot have been expired since.
    Only a snapshot that came after `before` can know of what the attempt wrote.
    """
    newest = max((snapshot.sequence_number or 0 for snapshot in before.snapshots), default=0)
    for path in written - referenced_files(lake, after=newest):
        lake.io.delete(path)
