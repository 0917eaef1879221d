"""What came in, where did it end, and what is missing or twice? Pure: tallies in, findings out.

The rules, on distinct events (an event is its body; the same id with another body is another):

- what is in a stage is in one of the stages that follow it, or it is missing;
- what is in a stage was in one of the stages before it, or it is unexplained;
- what is in a place that excludes another is in no other, and has one row in each table;
- a duplicate delivery may be quarantined once a delivery, never more often;
- a dead letter that was redriven is its event, which is where bronze has it;
- what no model covered when it came may be normalized since, by a replay;
- every record of an event says the same id, currency and amount, or it is mismatched;
- what the next load brings is pending, and not missing yet, unless it was waited for.

A stage that wasn't read takes part in no rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from .distinct_events import Events, Flags, Lost, Named, Part, Summary
from .stages import EXCLUSIVE, LAKEHOUSE, ONE_ROW, ONWARD, TABLES, Reading, Stage, downstream

NAMED_MAX: Final = 100
"""How many events of a finding are named; the count beside is the true one."""


@dataclass(frozen=True)
class Finding:
    """All events with one fault: how many, and the first `NAMED_MAX` by name."""

    count: int
    named: tuple[Named, ...]


@dataclass(frozen=True)
class Audit:
    """The answer."""

    stages: dict[Stage, Summary]
    """Those that were read."""
    days: dict[date, dict[Stage, Part]]
    """The same by UTC day of the first receipt."""
    missing: Finding
    last_seen: dict[Stage, int]
    """How many of the missing were last seen in which stage."""
    pending: dict[Stage, int]
    """How many events the next load brings into which of the lakehouse's stages."""
    duplicated: Finding
    unexplained: Finding
    """In a stage, but in none before it; or stored although it was refused."""
    mismatched: Finding
    """Its records disagree about its id, currency or amount."""
    unknown: Finding
    """Attempts that were never answered: no fault, whether they are present or absent."""
    conflicts: int
    """Bodies in quarantine because their id is in bronze with another body: no fault here."""
    others: int
    """Events that the client's ledger doesn't name: other senders'."""
    lost: tuple[Lost, ...]
    """Every missing event that no table has: one from before the window may."""

    @property
    def ok(self) -> bool:
        """Nothing missing, twice, unexplained or mismatched."""
        faults = (self.missing, self.duplicated, self.unexplained, self.mismatched)
        return not any(fault.count for fault in faults)


def reconcile(reading: Reading, *, excuse_pending: bool = True) -> Audit:
    """Hold the stages against each other.

    Args:
        reading: what was found.
        excuse_pending: what the next load brings into the lake or the facts is not missing yet.
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
    """Of each stage of the lakehouse that was read, the events that its next load brings."""
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
    held = events.present
    # What it was rejected as, and where it was sent on from, is behind a letter that was redriven.
    standing = {
        **held,
        Stage.REJECTED: held[Stage.REJECTED] & ~held[Stage.REDRIVEN],
        Stage.UNMODELLED: held[Stage.UNMODELLED] & ~held[Stage.NORMALIZED],
    }
    for places in EXCLUSIVE:
        twice |= np.sum([standing[place] for place in places], axis=0) > 1
    letters = events.records[Stage.QUARANTINE] + events.records[Stage.REDRIVEN]
    if Stage.RAW in events.stages:
        twice |= letters > np.maximum(events.records[Stage.RAW], 1)
    twice |= events.records[Stage.LAKE_QUARANTINE] > np.maximum(letters, 1)
    return twice


def _unexplained(events: Events) -> Flags:
    unexplained: Flags = events.refused & ~events.answered & events.present[Stage.RAW]
    for stage in events.stages - {Stage.RAW}:  # other senders keep no ledger
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
