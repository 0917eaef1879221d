"""The tables of the lake, each with its bronze table's name, columns and key."""

from typing import Final, NamedTuple

from payment_pipeline.bronze import contract
from payment_pipeline.domain.failures import UserError

NAMESPACE: Final = "data"
PARTITION_COLUMN: Final = "ingested_at"
"""The time of insertion, which never changes, so that a row stays in its partition."""


class LakeTable(NamedTuple):
    """One table, which has the same name in bronze and in the lake."""

    name: str
    columns: tuple[contract.Column, ...]
    key: tuple[str, ...]
    """The unique key in bronze. `id` is unique too, but starts again in a restored database."""

    @property
    def identifier(self) -> tuple[str, str]:
        """The table's namespace and name in the catalog."""
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
    """The table with the given name.

    Raises:
        UserError: the lake has no such table.
    """
    if name not in TABLES:
        raise UserError(f"No table {name} in the lake: there are {', '.join(TABLES)}.")
    return TABLES[name]
