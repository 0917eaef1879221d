"""The stages of an event's way, and the records that an audit found in each of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .stage_tally import Tally


class Stage(StrEnum):
    """Where an event can be, from the webhook to the facts."""

    ACKNOWLEDGED = "acknowledged"
    """The client ledger says that the gateway answered 2xx."""
    RAW = "raw"
    """On a raw topic, including `webhooks.dlq`."""
    NORMALIZED = "normalized"
    REJECTED = "rejected"
    """On `payments.validation.dlq` or `webhooks.dlq`: the body could not be normalized."""
    UNMODELLED = "unmodelled"
    BRONZE = "bronze"
    QUARANTINE = "quarantine"
    """Dead letters that did not become an event: open, dismissed, or a duplicate."""
    REDRIVEN = "redriven"
    """Dead letters that became an event. Bronze was asked whether it has the event."""
    LAKE = "lake"
    LAKE_QUARANTINE = "lake_quarantine"
    FACTS = "facts"
    """In the marts, as a row of `fct_payment_events`."""


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
"""The stages that an event goes to from a stage. A stage without an entry is a destination."""

EXCLUSIVE: Final = (
    (Stage.NORMALIZED, Stage.REJECTED, Stage.UNMODELLED),
    (Stage.BRONZE, Stage.QUARANTINE, Stage.UNMODELLED),
)
"""A body is in at most one stage of each group. A rejected event that was redriven, and an
unmodelled event that was replayed, count where they are now."""

ONE_ROW: Final = (Stage.BRONZE, Stage.LAKE, Stage.FACTS)
"""The stages in which an event has one row, and an id belongs to one event."""


def downstream(stage: Stage) -> set[Stage]:
    """Return every stage that an event can reach from this stage."""
    reached: set[Stage] = set()
    for following in ONWARD.get(stage, ()):
        reached |= {following, *downstream(following)}
    return reached


def up_to(last: Stage) -> tuple[Stage, ...]:
    """Return the stages of the lakehouse that an audit through `last` reads."""
    if last is Stage.FACTS:
        return LAKEHOUSE
    return LAKEHOUSE[:-1] if last is Stage.LAKE else ()


def _tallies(stages: Iterable[Stage]) -> dict[Stage, Tally]:
    return {stage: Tally() for stage in stages}


@dataclass(frozen=True)
class Reading:
    """The records of every stage in a window, and the attempts of the client ledger."""

    stages: dict[Stage, Tally] = field(default_factory=lambda: _tallies(PIPELINE))
    """The stages that are audited. The audit says nothing about other stages."""
    pending: dict[Stage, Tally] = field(default_factory=lambda: _tallies(LAKEHOUSE))
    """By stage of the lakehouse, the events that its next load brings: rows of the stage before
    that lie past its watermark. The stage may have them already."""
    unanswered: Tally = field(default_factory=Tally)
    """The client's attempts without an answer, or answered 5xx. Their events may be present."""
    refused: Tally = field(default_factory=Tally)
    """The client's attempts that were answered 4xx. Their events must not be stored."""

    def renew(self, stage: Stage) -> Tally:
        """Empty the tally of a stage and of what waits for the next one; return the tally."""
        self.stages[stage] = Tally()
        for following in ONWARD.get(stage, ()):
            if following in self.pending:
                self.pending[following] = Tally()
        return self.stages[stage]

    def tallies(self) -> dict[object, Tally]:
        """Return every tally by name: the stages in order, then pending and client attempts."""
        tallies: dict[object, Tally] = {
            stage: self.stages[stage] for stage in Stage if stage in self.stages
        }
        tallies.update({f"pending {stage}": tally for stage, tally in self.pending.items()})
        return tallies | {"unanswered": self.unanswered, "refused": self.refused}


def tables_only() -> Reading:
    """Return an empty reading of bronze and the quarantine, without the stages before them."""
    return Reading(stages=_tallies(TABLES))
