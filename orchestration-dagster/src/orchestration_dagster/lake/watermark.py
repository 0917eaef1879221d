"""How far has the lake been loaded, from which database, and by which batch last?

It is kept in the Iceberg table's properties and committed with the rows: it can't say more or less
than the table holds.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

_XID: Final = "payments.watermark.ingest-xid"
_ID: Final = "payments.watermark.id"
_HIGHEST_ID: Final = "payments.highest-id"
_SOURCE: Final = "payments.source"
BATCH_PROPERTY: Final = "payments.batch-id"
"""In the table's properties and in each snapshot's summary."""


class Watermark(NamedTuple):
    """Rows of bronze up to (xid, id) are in the lake; none above `highest_id` is."""

    xid: int = 0
    id: int = 0
    highest_id: int = 0
    """Of all rows in the lake: a row of a batch above it can't be there yet."""
    source: str = ""
    """`<system identifier>/<timeline>` of the PostgreSQL; xids mean nothing in another one."""

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> "Watermark":
        """What a table's properties say; the beginning for a table that was never loaded."""
        return cls(
            xid=int(properties.get(_XID, 0)),
            id=int(properties.get(_ID, 0)),
            highest_id=int(properties.get(_HIGHEST_ID, 0)),
            source=properties.get(_SOURCE, ""),
        )

    def to_properties(self) -> dict[str, str]:
        """What `of` reads."""
        return {
            _XID: str(self.xid),
            _ID: str(self.id),
            _HIGHEST_ID: str(self.highest_id),
            _SOURCE: self.source,
        }
