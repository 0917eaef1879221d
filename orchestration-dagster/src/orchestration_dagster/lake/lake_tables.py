"""Which bronze tables does the lake hold?"""

from typing import Final, NamedTuple

from payment_pipeline.bronze import contract
from payment_pipeline.domain.failures import UserError

NAMESPACE: Final = "data"
PARTITION_COLUMN: Final = "ingested_at"
"""Set when a row is inserted and never changed: a row stays in its day whatever becomes of it."""


class LakeTable(NamedTuple):
    """One table, of the same name in bronze and in the lake."""

    name: str
    columns: tuple[contract.Column, ...]
    key: tuple[str, ...]
    """What is unique in bronze; `id` is so too, but starts again in a restored database."""

    @property
    def identifier(self) -> tuple[str, str]:
        """Its name in the catalog."""
        return (NAMESPACE, self.name)


TABLES: Final = {
    table.name: table
    for table in (
        LakeTable(contract.EVENTS_TABLE, contract.EVENTS, ("provider", "event_id")),
        LakeTable(
            contract.QUARANTINE_TABLE,
            contract.QUARANTINE,
            ("source_topic", "source_partition", "source_offset", "failure"),
        ),
        LakeTable(
            contract.DECISIONS_TABLE, contract.DECISIONS, ("workflow_id", "step", "decided_at")
        ),
        LakeTable(contract.AUDITS_TABLE, contract.AUDITS, ("audit_id",)),
    )
}


def table_named(name: str) -> LakeTable:
    """The table of that name.

    Raises:
        UserError: the lake holds none.
    """
    if name not in TABLES:
        raise UserError(f"No table {name} in the lake: there are {', '.join(TABLES)}.")
    return TABLES[name]
