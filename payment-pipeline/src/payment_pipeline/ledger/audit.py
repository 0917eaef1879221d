"""What came in, where did it end, and what is missing or twice? Pure: tallies in, findings out.

The rules, on distinct events (an event is its body; the same id with another body is another):

- what is in a stage is in one of the stages that follow it, or it is missing;
- what is in a stage was in one of the stages before it, or it is unexplained;
- what is in a place that excludes another is in no other, and has one row in bronze;
- a duplicate delivery may be quarantined once a delivery, never more often;
- every record of an event says the same id, currency and amount, or it is mismatched.

The lake and the facts are two more stages: a member of `Stage` and a line in `ONWARD` each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .tally import UNSTATED_CODE, Tally, currency_of

NAMED_MAX: Final = 100
"""How many events of a finding are named; the count beside is the true one."""


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


ONWARD: Final[Mapping[Stage, tuple[Stage, ...]]] = {
    Stage.ACKNOWLEDGED: (Stage.RAW,),
    Stage.RAW: (Stage.NORMALIZED, Stage.REJECTED, Stage.UNMODELLED),
    Stage.NORMALIZED: (Stage.BRONZE, Stage.QUARANTINE),
    Stage.REJECTED: (Stage.QUARANTINE,),
}
"""Where an event goes from a stage; a stage that isn't here is an end."""

EXCLUSIVE: Final = (
    (Stage.NORMALIZED, Stage.REJECTED, Stage.UNMODELLED),
    (Stage.BRONZE, Stage.QUARANTINE, Stage.UNMODELLED),
)
"""Of each of these an event is in one at most."""

Flags: TypeAlias = npt.NDArray[np.bool_]
"""One truth value an event."""
Column: TypeAlias = npt.NDArray[np.integer[Any]]
"""One number a record or an event."""


@dataclass(frozen=True)
class Reading:
    """What was found in a window: every record of every stage, and what the client says."""

    stages: dict[Stage, Tally] = field(default_factory=lambda: {stage: Tally() for stage in Stage})
    unanswered: Tally = field(default_factory=Tally)
    """The client's attempts that were never answered, or answered 5xx: present or absent."""
    refused: Tally = field(default_factory=Tally)
    """The client's attempts that were answered 4xx: never stored."""

    def renew(self, stage: Stage) -> Tally:
        """Forget what was read of a stage; return its empty tally."""
        self.stages[stage] = Tally()
        return self.stages[stage]

    def tallies(self) -> tuple[Tally, ...]:
        """Every tally: the stages in their order, then the client's other answers."""
        return (*(self.stages[stage] for stage in Stage), self.unanswered, self.refused)


class Summary(NamedTuple):
    """One stage in figures."""

    events: int
    """Distinct events."""
    records: int
    hash_total: dict[str, int]
    """By currency, in minor units, over distinct events."""


class Named(NamedTuple):
    """One event that is not as it should be."""

    event_id: str
    seen_in: tuple[Stage, ...]
    """In the data's order: the last is where it was last seen."""


@dataclass(frozen=True)
class Finding:
    """All events with one fault: how many, and the first `NAMED_MAX` by name."""

    count: int
    named: tuple[Named, ...]


class Lost(NamedTuple):
    """A missing event as the tables can be asked for it."""

    event_id: str | None
    identity: str
    """The first hex digits of its body's SHA-256."""


@dataclass(frozen=True)
class Audit:
    """The answer."""

    stages: dict[Stage, Summary]
    missing: Finding
    last_seen: dict[Stage, int]
    """How many of the missing were last seen in which stage."""
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
    """Every missing event."""

    @property
    def ok(self) -> bool:
        """Nothing missing, twice, unexplained or mismatched."""
        faults = (self.missing, self.duplicated, self.unexplained, self.mismatched)
        return not any(fault.count for fault in faults)


def reconcile(reading: Reading) -> Audit:
    """Hold the stages against each other."""
    events = _Events(reading)
    missing = _missing(events)
    duplicated, unexplained = _duplicated(events), _unexplained(events)
    return Audit(
        stages={stage: events.summary(stage) for stage in Stage},
        missing=events.finding(missing),
        last_seen=events.last_seen(missing),
        duplicated=events.finding(duplicated),
        unexplained=events.finding(unexplained),
        mismatched=events.finding(events.mismatched()),
        unknown=events.finding(events.unanswered & ~events.present[Stage.ACKNOWLEDGED]),
        conflicts=int(np.count_nonzero(_conflicts(events))),
        others=int(np.count_nonzero(_others(events))),
        lost=events.lost(missing),
    )


def _missing(events: "_Events") -> Flags:
    missing = events.none()
    for stage in ONWARD:
        further = events.none()
        for later in _downstream(stage):
            further |= events.present[later]
        missing |= events.present[stage] & ~further
    return missing


def _downstream(stage: Stage) -> set[Stage]:
    """Every stage that an event can reach from this one."""
    reached: set[Stage] = set()
    for following in ONWARD.get(stage, ()):
        reached |= {following, *_downstream(following)}
    return reached


def _duplicated(events: "_Events") -> Flags:
    twice: Flags = events.records[Stage.BRONZE] > 1
    for places in EXCLUSIVE:
        twice |= np.sum([events.present[place] for place in places], axis=0) > 1
    quarantined = events.records[Stage.QUARANTINE]
    twice |= quarantined > np.maximum(events.records[Stage.RAW], 1)
    twice |= events.present[Stage.BRONZE] & events.same_id_twice(events.present[Stage.BRONZE])
    return twice


def _unexplained(events: "_Events") -> Flags:
    unexplained: Flags = events.refused & ~events.answered & events.present[Stage.RAW]
    for stage in Stage:
        before = [earlier for earlier, onward in ONWARD.items() if stage in onward]
        if stage is Stage.RAW or not before:
            continue  # a raw event is its own explanation: other senders keep no ledger
        explained = np.any([events.present[earlier] for earlier in before], axis=0)
        unexplained |= events.present[stage] & ~explained
    return unexplained


def _conflicts(events: "_Events") -> Flags:
    held = events.present
    apart = held[Stage.NORMALIZED] & held[Stage.QUARANTINE] & ~held[Stage.BRONZE]
    return apart & np.isin(events.keys, events.keys[held[Stage.BRONZE]])


def _others(events: "_Events") -> Flags:
    clients: Flags = events.answered | events.refused
    return events.present[Stage.RAW] & ~clients


class _Events:
    """Distinct events, numbered, with what each tally says of them as one array a question."""

    def __init__(self, reading: Reading) -> None:
        self._tallies = reading.tallies()
        self._bounds = np.cumsum([0, *map(len, self._tallies)])
        high, low = self._column("bodies_high"), self._column("bodies_low")
        nameless = np.concatenate([np.diff(np.asarray(t.ends)) == 0 for t in self._tallies])
        # An event's records side by side, those with a name first, so that the first can name it.
        self._order = np.lexsort((nameless, low, high))
        high, low = high[self._order], low[self._order]
        new = np.ones(len(high), dtype=np.bool_)
        new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        self._starts = np.flatnonzero(new)
        self._number = np.empty(len(high), dtype=np.int64)
        self._number[self._order] = np.cumsum(new) - 1

        counts = [self._counts(place) for place in range(len(self._tallies))]
        self.records = dict(zip(Stage, counts, strict=False))
        self.present: dict[Stage, Flags] = {s: n > 0 for s, n in self.records.items()}
        self.unanswered: Flags = counts[-2] > 0
        self.refused: Flags = counts[-1] > 0
        self.answered: Flags = self.present[Stage.ACKNOWLEDGED] | self.unanswered
        self._record_keys = self._column("keys")[self._order]
        self.keys = np.maximum.reduceat(self._record_keys, self._starts) if len(high) else high

    def none(self) -> Flags:
        """No event."""
        return np.zeros(len(self._starts), dtype=np.bool_)

    def same_id_twice(self, among: Flags) -> Flags:
        """Events whose id more than one of `among` has."""
        keys, counts = np.unique(self.keys[among], return_counts=True)
        return np.isin(self.keys, keys[(counts > 1) & (keys > 0)])

    def mismatched(self) -> Flags:
        """Events whose records disagree about id, currency or amount."""
        currencies = self._column("currencies")[self._order]
        silent = currencies == UNSTATED_CODE
        return (
            self._differs(self._record_keys, self._record_keys == 0)
            | self._differs(currencies, silent)
            | self._differs(self._column("amounts")[self._order], silent)
        )

    def summary(self, stage: Stage) -> Summary:
        """A stage in figures."""
        place = list(Stage).index(stage)
        _, firsts = np.unique(self._numbers(place), return_index=True)
        currencies = np.asarray(self._tallies[place].currencies)[firsts]
        amounts = np.asarray(self._tallies[place].amounts)[firsts]
        totals = {
            currency_of(int(code)): _exact_sum(amounts[currencies == code])
            for code in np.setdiff1d(currencies, (0, UNSTATED_CODE))
        }
        return Summary(len(firsts), len(self._tallies[place]), dict(sorted(totals.items())))

    def finding(self, flags: Flags) -> Finding:
        """Count the flagged events and name some."""
        numbers = np.flatnonzero(flags)
        named = []
        for number in numbers[:NAMED_MAX].tolist():
            tally, row = self._first_record(number)
            seen_in = tuple(stage for stage in Stage if self.present[stage][number])
            named.append(Named(tally.name(row), seen_in))
        return Finding(len(numbers), tuple(sorted(named)))

    def last_seen(self, flags: Flags) -> dict[Stage, int]:
        """The flagged events by the last stage that they are in, in the stages' order."""
        counts, left = dict[Stage, int](), flags
        for stage in reversed(Stage):
            counts[stage] = int(np.count_nonzero(left & self.present[stage]))
            left = left & ~self.present[stage]
        return {stage: counts[stage] for stage in Stage if counts[stage]}

    def lost(self, flags: Flags) -> tuple[Lost, ...]:
        """The flagged events as the tables can be asked for them."""
        records = map(self._first_record, np.flatnonzero(flags).tolist())
        return tuple(Lost(tally.event_id(row), tally.identity(row)) for tally, row in records)

    def _first_record(self, number: int) -> tuple[Tally, int]:
        record = int(self._order[self._starts[number]])
        place = int(np.searchsorted(self._bounds, record, side="right")) - 1
        return self._tallies[place], record - int(self._bounds[place])

    def _column(self, name: str) -> Column:
        return np.concatenate([np.asarray(getattr(tally, name)) for tally in self._tallies])

    def _numbers(self, place: int) -> Column:
        return self._number[self._bounds[place] : self._bounds[place + 1]]

    def _counts(self, place: int) -> Column:
        return np.bincount(self._numbers(place), minlength=len(self._starts))

    def _differs(self, values: Column, silent: Flags) -> Flags:
        """Events of which two records that aren't silent have different values."""
        if not len(values):
            return self.none()
        limits = np.iinfo(values.dtype)
        least = np.minimum.reduceat(np.where(silent, limits.max, values), self._starts)
        most = np.maximum.reduceat(np.where(silent, limits.min, values), self._starts)
        return np.asarray(most > least)


def _exact_sum(amounts: Column) -> int:
    """The sum in full: of 64-bit amounts it may need more than 64 bits."""
    high, low = amounts >> 32, amounts & 0xFFFF_FFFF
    return (int(high.sum()) << 32) + int(low.sum())
