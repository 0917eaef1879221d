"""The watermark of a lake table: the last loaded row, and the database it came from.

The watermark is in the Iceberg table's properties and is committed together with the rows, so it
always fits the table.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

_XID: Final = "payments.watermark.ingest-xid"
_ID: Final = "payments.watermark.id"
_HIGHEST_ID: Final = "payments.highest-id"
_SOURCE: Final = "payments.source"
BATCH_PROPERTY: Final = "payments.batch-id"
"""The property of the last batch's id, also in the summary of each snapshot of the batch."""


class Watermark(NamedTuple):
    """Rows of bronze up to (xid, id) are in the lake, and no row above `highest_id` is."""

    xid: int = 0
    id: int = 0
    highest_id: int = 0
    """The highest id in the lake. A row with a higher id can't be in the lake yet."""
    source: str = ""
    """`<system identifier>/<timeline>` of the database that `xid` belongs to."""

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> "Watermark":
        """The watermark in a table's properties; the beginning if the table was never loaded."""
        return cls(
            xid=int(properties.get(_XID, 0)),
            id=int(properties.get(_ID, 0)),
            highest_id=int(properties.get(_HIGHEST_ID, 0)),
            source=properties.get(_SOURCE, ""),
        )

    def to_properties(self) -> dict[str, str]:
        """The properties that `of` reads."""
        return {
            _XID: str(self.xid),
            _ID: str(self.id),
            _HIGHEST_ID: str(self.highest_id),
            _SOURCE: self.source,
        }
