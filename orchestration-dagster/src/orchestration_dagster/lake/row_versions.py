"""The keys and versions of all rows in a lake table, in 42 bytes of memory a row.

A whole table is compared by key. Its rows, and even their keys, are too many to be kept in memory,
so each key is kept as a hash.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    GreaterThanOrEqual,
    In,
    LessThanOrEqual,
)

from .bronze_arrow import ROWS_MAX
from .lake_tables import PARTITION_COLUMN, LakeTable
from .loader import ID

VERSION: Final = (ID, PARTITION_COLUMN, "ingest_xid")
"""A row with the same key and the same values here is the same in bronze and in the lake."""
HASH_BYTES: Final = 16
"""Among a billion keys, two have the same hash with a probability of 1 in 10^21."""

_HASH: Final = np.dtype(f"S{HASH_BYTES}")
Hashes: TypeAlias = npt.NDArray[np.bytes_]
Versions: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = pa.Table | pa.RecordBatch


class RowVersions:
    """The rows of a lake table, to be compared with the rows of bronze."""

    def __init__(self, table: LakeTable, batches: Iterable[pa.RecordBatch]) -> None:
        """Reads `batches`, which have the columns that `narrow` leaves."""
        self._key = table.key
        found = [(_hashes(batch, table.key), _versions(batch)) for batch in batches]
        hashes = np.concatenate([np.empty(0, _HASH), *(each for each, _ in found)])
        versions = np.concatenate([np.empty((0, len(VERSION)), np.int64), *(v for _, v in found)])
        order = np.argsort(hashes)
        self._hashes, self._versions = hashes[order], versions[order]
        self._seen = np.zeros(len(order), np.bool_)
        self._stale = np.zeros(len(order), np.bool_)

    def differing(self, rows: pa.Table) -> pa.Table:
        """The rows of bronze that are not in the lake, or are there in another version.

        A second call with the same rows returns the same.
        """
        hashes, versions = _hashes(rows, self._key), _versions(rows)
        same = np.zeros(len(rows), np.bool_)
        if len(self._hashes):
            place = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
            there = self._hashes[place] == hashes
            same = there & (self._versions[place] == versions).all(axis=1)
            self._seen[place[there]] = True
            self._stale[place[there & ~same]] = True
        return rows.filter(pa.array(~same))

    @property
    def unseen(self) -> int:
        """The number of lake rows that no call of `differing` had."""
        return int(np.count_nonzero(~self._seen))

    @property
    def stale(self) -> int:
        """The number of lake rows that bronze has in another version."""
        return int(np.count_nonzero(self._stale))

    def stale_rows(self) -> Iterator[BooleanExpression]:
        """Filters that together match all stale rows. Each one names at most `ROWS_MAX` ids."""
        if self.stale == len(self._hashes):  # as after a restore, which numbers all rows again
            yield AlwaysTrue()
            return
        ids = np.sort(self._versions[self._stale, VERSION.index(ID)]).tolist()
        for start in range(0, len(ids), ROWS_MAX):
            some = ids[start : start + ROWS_MAX]
            # The bounds choose the files. PyIceberg doesn't use a list of so many ids for that.
            span = And(
                GreaterThanOrEqual(term=ID, value=some[0]), LessThanOrEqual(term=ID, value=some[-1])
            )
            yield And(span, In(term=ID, literals=some))


def narrow(table: LakeTable) -> LakeTable:
    """The table with only the columns by which rows are compared."""
    names = {*table.key, *VERSION}
    return table._replace(columns=tuple(each for each in table.columns if each.name in names))


def _hashes(rows: Rows, key: tuple[str, ...]) -> Hashes:
    values = zip(*(_plain(rows, name).to_pylist() for name in key), strict=True)
    digests = (blake2b(repr(each).encode(), digest_size=HASH_BYTES).digest() for each in values)
    return np.frombuffer(b"".join(digests), _HASH)


def _versions(rows: Rows) -> Versions:
    return np.column_stack([_plain(rows, name).to_numpy() for name in VERSION])


def _plain(rows: Rows, name: str) -> Any:  # noqa: ANN401 - an array, chunked or not
    """A column. Times become microseconds, since readers name the time zone UTC differently."""
    column = rows[name]
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
