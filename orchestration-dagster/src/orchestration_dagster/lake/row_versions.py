"""Which rows does the lake hold already, and in which version? In 42 bytes a row, however wide.

A whole table is compared by key, so the rows themselves, and even their keys, are too many to be
kept: of a key its hash is.
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
"""With the key, what tells whether a row is the same in both."""
HASH_BYTES: Final = 16
"""Two of a billion keys have the same one with a chance of 1 in 10^21."""

_HASH: Final = np.dtype(f"S{HASH_BYTES}")
Hashes: TypeAlias = npt.NDArray[np.bytes_]
Versions: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = pa.Table | pa.RecordBatch


class RowVersions:
    """The lake's rows by their key, against which bronze's are compared."""

    def __init__(self, table: LakeTable, batches: Iterable[pa.RecordBatch]) -> None:
        """`batches` are of the columns of `narrow`."""
        self._key = table.key
        found = [(_hashes(batch, table.key), _versions(batch)) for batch in batches]
        hashes = np.concatenate([np.empty(0, _HASH), *(each for each, _ in found)])
        versions = np.concatenate([np.empty((0, len(VERSION)), np.int64), *(v for _, v in found)])
        order = np.argsort(hashes)
        self._hashes, self._versions = hashes[order], versions[order]
        self._seen = np.zeros(len(order), np.bool_)
        self._stale = np.zeros(len(order), np.bool_)

    def differing(self, rows: pa.Table) -> pa.Table:
        """Those of bronze's rows that the lake has not, or not so; asked again, it is the same."""
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
        """Rows that bronze has not shown."""
        return int(np.count_nonzero(~self._seen))

    @property
    def stale(self) -> int:
        """Rows that bronze has in another version."""
        return int(np.count_nonzero(self._stale))

    def stale_rows(self) -> Iterator[BooleanExpression]:
        """Which they are, so many at a time as a filter may name."""
        if self.stale == len(self._hashes):  # as after every restore, which numbers its rows anew
            yield AlwaysTrue()
            return
        ids = np.sort(self._versions[self._stale, VERSION.index(ID)]).tolist()
        for start in range(0, len(ids), ROWS_MAX):
            some = ids[start : start + ROWS_MAX]
            # The bounds choose the files: of so many ids nobody looks at each for that.
            span = And(
                GreaterThanOrEqual(term=ID, value=some[0]), LessThanOrEqual(term=ID, value=some[-1])
            )
            yield And(span, In(term=ID, literals=some))


def narrow(table: LakeTable) -> LakeTable:
    """The table with those columns alone by which rows are compared."""
    names = {*table.key, *VERSION}
    return table._replace(columns=tuple(each for each in table.columns if each.name in names))


def _hashes(rows: Rows, key: tuple[str, ...]) -> Hashes:
    values = zip(*(_plain(rows, name).to_pylist() for name in key), strict=True)
    digests = (blake2b(repr(each).encode(), digest_size=HASH_BYTES).digest() for each in values)
    return np.frombuffer(b"".join(digests), _HASH)


def _versions(rows: Rows) -> Versions:
    return np.column_stack([_plain(rows, name).to_numpy() for name in VERSION])


def _plain(rows: Rows, name: str) -> Any:  # noqa: ANN401 - an array, chunked or not
    """A column; times as microseconds, since each reader has a UTC of its own."""
    column = rows[name]
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
