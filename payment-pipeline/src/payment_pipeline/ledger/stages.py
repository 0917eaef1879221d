"""Where can an event be, where does it go from there, and what was found of it?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .stage_tally import Tally


class Stage(StrEnum):
    """Where an event can be, in the order of the data's way."""

    ACKNOWLEDGED = "acknowledged"
    """Answered 2xx, says the client's own ledger."""
    RAW = "raw"
    """On a raw topic, `webhooks.dlq` included."""
    NORMALIZED = "normalized"
    REJECTED = "rejected"
    """On `payments.validation.dlq` or `webhooks.dlq`: no event could be made of it."""
    UNMODELLED = "unmodelled"
    BRONZE = "bronze"
    QUARANTINE = "quarantine"
    """Dead letters that are no event: open, dismissed, or another's duplicate."""
    REDRIVEN = "redriven"
    """Dead letters that are an event now; of those in bronze, bronze was asked."""
    LAKE = "lake"
    LAKE_QUARANTINE = "lake_quarantine"
    FACTS = "facts"
    """In the marts: a row of `fct_payment_events`."""


TABLES: Final = (Stage.BRONZE, Stage.QUARANTINE, Stage.REDRIVEN)
LAKEHOUSE: Final = (Stage.LAKE, Stage.LAKE_QUARANTINE, Stage.FACTS)
PIPELINE: Final = tuple(stage for stage in Stage if stage not in LAKEHOUSE)

ONWARD: Final[Mapping[Stage, tuple[Stage, ...]]] = {
    Stage.ACKNOWLEDGED: (Stage.RAW,),
    Stage.RAW: (Stage.NORMALIZED, Stage.REJECTED, Stage.UNMODELLED),
    Stage.NORMALIZED: (Stage.BRONZE, Stage.QUARANTINE, Stage.REDRIVEN),
    Stage.REJECTED: (Stage.QUARANTINE, Stage.REDRIVEN),
    Stage.BRONZE: (Stage.LAKE,),
    Stage.QUARANTINE: (Stage.LAKE_QUARANTINE,),
    Stage.REDRIVEN: (Stage.LAKE_QUARANTINE,),
    Stage.LAKE: (Stage.FACTS,),
}
"""Where an event goes from a stage; a stage that isn't here is an end."""

EXCLUSIVE: Final = (
    (Stage.NORMALIZED, Stage.REJECTED, Stage.UNMODELLED),
    (Stage.BRONZE, Stage.QUARANTINE, Stage.UNMODELLED),
)
"""Of each of these an event is in one at most; what was rejected and redriven, or unmodelled and
replayed, counts where it is now."""

ONE_ROW: Final = (Stage.BRONZE, Stage.LAKE, Stage.FACTS)
"""Where an event has one row, and an id one event."""


def downstream(stage: Stage) -> set[Stage]:
    """Every stage that an event can reach from this one."""
    reached: set[Stage] = set()
    for following in ONWARD.get(stage, ()):
        reached |= {following, *downstream(following)}
    return reached


def up_to(last: Stage) -> tuple[Stage, ...]:
    """The lakehouse's stages that an audit through `last` holds; none for an earlier one."""
    if last is Stage.FACTS:
        return LAKEHOUSE
    return LAKEHOUSE[:-1] if last is Stage.LAKE else ()


def _tallies(stages: Iterable[Stage]) -> dict[Stage, Tally]:
    return {stage: Tally() for stage in stages}


@dataclass(frozen=True)
class Reading:
    """What was found in a window: every record of every stage, and what the client says."""

    stages: dict[Stage, Tally] = field(default_factory=lambda: _tallies(PIPELINE))
    """Those that are audited; about any other nothing is claimed."""
    pending: dict[Stage, Tally] = field(default_factory=lambda: _tallies(LAKEHOUSE))
    """Of the lakehouse's stages what the next load brings: rows of the stage before that lie past
    this one's watermark. They may be there already."""
    unanswered: Tally = field(default_factory=Tally)
    """The client's attempts that were never answered, or answered 5xx: present or absent."""
    refused: Tally = field(default_factory=Tally)
    """The client's attempts that were answered 4xx: never stored."""

    def renew(self, stage: Stage) -> Tally:
        """Forget what was read of a stage, and what it waits for; return its empty tally."""
        self.stages[stage] = Tally()
        for following in ONWARD.get(stage, ()):
            if following in self.pending:
                self.pending[following] = Tally()
        return self.stages[stage]

    def tallies(self) -> dict[object, Tally]:
        """Every tally under a name of its own: the stages in their order, then what is beside."""
        tallies: dict[object, Tally] = {
            stage: self.stages[stage] for stage in Stage if stage in self.stages
        }
        tallies.update({f"pending {stage}": tally for stage, tally in self.pending.items()})
        return tallies | {"unanswered": self.unanswered, "refused": self.refused}


def tables_only() -> Reading:
    """An empty reading of bronze and the quarantine, without what comes before them."""
    return Reading(stages=_tallies(TABLES))
