"""Commits a change to an Iceberg table exactly once.

A commit takes effect only if the table's snapshot is still the one that the writer read. This is
Iceberg's `assert-ref-snapshot-id`; every change here carries it, because every change makes a
snapshot. So of two writers that read the same watermark, one succeeds.

The catalog's answer to a commit may be lost. After any error the table is therefore read again: the
commit took effect if its batch id is in the summary of a snapshot. When another commit won, the
data files of the failed attempt are deleted at once, because they may hold personal data that the
next erasure wouldn't find.
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
"""Attempts to commit one change before the run fails. Dagster then retries the run."""
FIRST_WAIT_S: Final = 0.1
"""The wait before the second attempt. It doubles before each further attempt."""

_FAILURES: Final = (
    CommitFailedException,
    CommitStateUnknownException,
    RESTError,
    requests.RequestException,
    OSError,
)


class Outcome(NamedTuple):
    """The effect of a change that is in the table."""

    rows: int
    """Number of appended rows."""
    replaced: int
    """Number of deleted rows: a newer state was appended, or bronze no longer has the row."""
    watermark: Watermark
    """The table's watermark after the change."""


SnapshotProperties: TypeAlias = dict[str, str]
Change: TypeAlias = Callable[[Table, Transaction, SnapshotProperties], Outcome | None]
"""Adds a change to a transaction, with the given properties on each snapshot that it makes.

Returns None when there is nothing to change. It is called again for each attempt, with the table's
current state."""


def settle(lake: Table, change: Change) -> Outcome | None:
    """Makes a change in one commit, exactly once. `lake` then has the catalog's current state.

    Raises:
        CommitFailedException, CommitStateUnknownException, RESTError, OSError: the change is not in
            the table after `ATTEMPTS_MAX` attempts; or the catalog doesn't answer, so that only the
            next load can find out whether the last attempt took effect.
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
    """The table's snapshots with this batch id; empty if the commit didn't take effect."""
    return [
        snapshot
        for snapshot in table.snapshots
        if snapshot.summary and snapshot.summary.additional_properties.items() >= batch.items()
    ]


def _written(lake: Table, made: Iterable[Snapshot]) -> set[str]:
    """The data files that these snapshots added.

    They must be listed before the commit: when a commit is refused, PyIceberg deletes the manifests
    that name the files, but not the files.
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
    """Deletes the data files of an attempt that can no longer take effect.

    The caller makes sure that the table has a newer snapshot than the one that the attempt
    required. Otherwise the attempt may still take effect; the nightly removal of orphan files then
    deletes its files if it doesn't. Files that a snapshot references are kept: the attempt may have
    taken effect and its own snapshot may have expired since. Only snapshots newer than `before` can
    reference them.
    """
    newest = max((snapshot.sequence_number or 0 for snapshot in before.snapshots), default=0)
    for path in written - referenced_files(lake, after=newest):
        lake.io.delete(path)
