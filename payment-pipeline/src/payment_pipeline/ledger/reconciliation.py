"""Compares the stages of the pipeline and finds missing, duplicated and mismatched events.

This module is pure: tallies in, findings out. Its rules apply to distinct events. Two records are
the same event if their bodies or their identities are the same (`distinct_events`). The same id
with another identity is another event.

- An event of a stage must be in one of the stages that follow, or the event is missing.
- An event of a stage must have been in a stage before, or the event is unexplained.
- Some destinations exclude each other: a body is in one of them only. Two renderings of one event
  are two bodies, of which one may be rejected. An event has one row per table.
- A duplicate delivery may be quarantined once per delivery, not more often.
- A redriven dead letter counts as its event, which is in bronze.
- An event that no model covered may have been normalized later, by a replay.
- All records of an event state the same id, currency and amount, and all records of a body the same
  identity, or the event is mismatched.
- An event that the next load brings is pending, and not missing, unless the audit waited for it.

A stage that was not read takes part in no rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from .distinct_events import Events, Flags, Lost, Named, Part, Summary
from .stages import EXCLUSIVE, LAKEHOUSE, ONE_ROW, ONWARD, TABLES, Reading, Stage, downstream

_FORMER: Final = {
    Stage.REJECTED: (Stage.REDRIVEN,),
    Stage.UNMODELLED: (Stage.NORMALIZED,),
}
"""A redriven dead letter is no longer rejected, and a replayed event no longer unmodelled."""

NAMED_MAX: Final = 100
"""How many events a finding names. `Finding.count` counts all of them."""


@dataclass(frozen=True)
class Finding:
    """The events with one fault: their number, and the names of the first `NAMED_MAX`."""

    count: int
    named: tuple[Named, ...]


@dataclass(frozen=True)
class Audit:
    """The result of an audit."""

    stages: dict[Stage, Summary]
    """The stages that were read."""
    days: dict[date, dict[Stage, Part]]
    """The same figures by UTC day of the first receipt."""
    missing: Finding
    last_seen: dict[Stage, int]
    """The number of missing events by the stage that they were last seen in."""
    pending: dict[Stage, int]
    """The number of events that the next load brings, by stage of the lakehouse."""
    duplicated: Finding
    unexplained: Finding
    """Events in a stage but in none before it, and events stored although they were refused."""
    mismatched: Finding
    """Events whose records state different ids, currencies or amounts."""
    unknown: Finding
    """Attempts that were never answered. They are no fault, present or absent."""
    conflicts: int
    """Events in quarantine because bronze has their id with another identity. They are no fault."""
    others: int
    """Events of other senders: the client ledger does not name them."""
    lost: tuple[Lost, ...]
    """Every missing event that no table read so far has. A row from before the window may exist."""

    @property
    def ok(self) -> bool:
        """True if no event is missing, duplicated, unexplained or mismatched."""
        faults = (self.missing, self.duplicated, self.unexplained, self.mismatched)
        return not any(fault.count for fault in faults)


def reconcile(reading: Reading, *, excuse_pending: bool = True) -> Audit:
    """Compare the stages of a reading with each other.

    Args:
        reading: the records that were found in each stage.
        excuse_pending: do not count as missing what the next load brings into the lake or facts.
    """
    events = Events(reading)
    pending = _pending(events)
    missing = _missing(events, pending if excuse_pending else {})
    duplicated, unexplained = _duplicated(events), _unexplained(events)
    stored = np.any([events.present[table] for table in TABLES], axis=0)
    return Audit(
        stages={stage: events.summary(stage) for stage in Stage if stage in events.stages},
        days=events.days(),
        missing=_finding(events, missing),
        last_seen=events.last_seen(missing),
        pending={stage: int(np.count_nonzero(flags)) for stage, flags in pending.items()},
        duplicated=_finding(events, duplicated),
        unexplained=_finding(events, unexplained),
        mismatched=_finding(events, events.mismatched()),
        unknown=_finding(events, events.unanswered & ~events.present[Stage.ACKNOWLEDGED]),
        conflicts=int(np.count_nonzero(_conflicts(events))),
        others=int(np.count_nonzero(_others(events))),
        lost=events.lost(missing & ~stored),
    )


def _finding(events: Events, flags: Flags) -> Finding:
    return Finding(int(np.count_nonzero(flags)), events.named(flags, NAMED_MAX))


def _missing(events: Events, excused: Mapping[Stage, Flags]) -> Flags:
    missing = events.none()
    for stage, following in ONWARD.items():
        if not events.stages.intersection(following):
            continue
        gone = events.present[stage]
        for later in downstream(stage):
            gone = gone & ~events.present[later]
        for later in following:
            gone = gone & ~excused.get(later, events.none())
        missing |= gone
    return missing


def _pending(events: Events) -> dict[Stage, Flags]:
    """Return, for each stage of the lakehouse that was read, the events its next load brings."""
    pending = {}
    for stage in LAKEHOUSE:
        if stage in events.stages:
            there = events.present[stage]
            for later in downstream(stage):
                there = there | events.present[later]
            pending[stage] = events.pending[stage] & ~there
    return pending


def _duplicated(events: Events) -> Flags:
    twice = events.none()
    for table in ONE_ROW:
        present = events.present[table]
        twice |= (events.records[table] > 1) | (present & events.same_id_twice(present))
    for destinations in EXCLUSIVE:
        places = [events.in_places(each, *_FORMER.get(each, ())) for each in destinations]
        twice |= events.with_body(np.sum(places, axis=0) > 1)
    letters = events.records[Stage.QUARANTINE] + events.records[Stage.REDRIVEN]
    if Stage.RAW in events.stages:
        twice |= letters > np.maximum(events.records[Stage.RAW], 1)
    twice |= events.records[Stage.LAKE_QUARANTINE] > np.maximum(letters, 1)
    return twice


def _unexplained(events: Events) -> Flags:
    unexplained: Flags = events.refused & ~events.answered & events.present[Stage.RAW]
    for stage in events.stages - {Stage.RAW}:  # other senders have no client ledger
        before = {earlier for earlier, onward in ONWARD.items() if stage in onward}
        if before and before <= events.stages:
            explained = np.any([events.present[earlier] for earlier in before], axis=0)
            unexplained |= events.present[stage] & ~explained
    return unexplained


def _conflicts(events: Events) -> Flags:
    held = events.present
    apart = held[Stage.NORMALIZED] & held[Stage.QUARANTINE] & ~held[Stage.BRONZE]
    return apart & np.isin(events.keys, events.keys[held[Stage.BRONZE]])


def _others(events: Events) -> Flags:
    clients: Flags = events.answered | events.refused
    return events.present[Stage.RAW] & ~clients
