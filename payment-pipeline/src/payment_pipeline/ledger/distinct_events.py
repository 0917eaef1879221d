"""The distinct events of a reading, and what each stage says about them.

Records with the same body are the same event, and so are records with the same identity: what the
provider repeats in each delivery of an event. A record may state its body alone, as a line of the
client ledger does, or a record of an earlier version. It then has the identity that another record
of the same body states.

The values are numpy columns, one value per record or event. A million records take two seconds.
"""

from datetime import date, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .stage_tally import EPOCH, UNDATED, UNSTATED_CODE, Tally, currency_of, hex_of
from .stages import LAKEHOUSE, Reading, Stage

Flags: TypeAlias = npt.NDArray[np.bool_]
"""One truth value per event."""
Column: TypeAlias = npt.NDArray[np.integer[Any]]
"""One number per record or event."""

_CURRENCY_BITS: Final = 16


class Summary(NamedTuple):
    """The figures of one stage."""

    events: int
    """Distinct events."""
    records: int
    hash_total: dict[str, int]
    """By currency, in minor units, over distinct events."""


class Part(NamedTuple):
    """The figures of one stage on one day."""

    events: int
    """Distinct events."""
    hash_total: dict[str, int]
    """By currency, in minor units, over distinct events."""


class Named(NamedTuple):
    """An event with a fault."""

    event_id: str
    seen_in: tuple[Stage, ...]
    """In the order of the pipeline: the last stage is where the event was last seen."""


class Lost(NamedTuple):
    """A missing event, with the values that a table can be searched by."""

    event_id: str | None
    hashes: tuple[str, ...]
    """The first hex digits of the SHA-256 of its identity, and of each of its bodies."""


class Groups(NamedTuple):
    """Records in groups."""

    order: Column
    """The records, sorted by group."""
    starts: Column
    """The position in `order` of each group's first record."""
    number: Column
    """The group of each record."""


class Events:
    """The distinct events of a reading, numbered. Each attribute is one array over all events."""

    def __init__(self, reading: Reading) -> None:
        tallies = reading.tallies()
        self.stages = frozenset(reading.stages)
        self._names = list(tallies)
        self._tallies = list(tallies.values())
        self._bounds = np.cumsum([0, *map(len, self._tallies)])
        bodies = self._column("bodies_high"), self._column("bodies_low")
        stated = self._column("identities_high"), self._column("identities_low")
        # In each group of one body, a record that states an identity comes last.
        self._of_body = _grouped(bodies, stated[1], stated[0])
        self._identities = _identities(bodies, stated, self._of_body)
        nameless = np.concatenate([np.diff(np.asarray(t.ends)) == 0 for t in self._tallies])
        # A record with an id comes first in the group of its event, so that it names the event.
        self._order, self._starts, self._number = _grouped(self._identities, nameless)

        absent = np.zeros(len(self._starts), dtype=np.int64)
        counts = dict(zip(tallies, map(self._counts, range(len(self._tallies))), strict=True))
        self.records: dict[Stage, Column] = {s: counts.get(s, absent) for s in Stage}
        self.present: dict[Stage, Flags] = {s: n > 0 for s, n in self.records.items()}
        self.pending: dict[Stage, Flags] = {s: counts[f"pending {s}"] > 0 for s in LAKEHOUSE}
        self.unanswered: Flags = counts["unanswered"] > 0
        self.refused: Flags = counts["refused"] > 0
        self.answered: Flags = self.present[Stage.ACKNOWLEDGED] | self.unanswered
        self._record_keys = self._column("keys")[self._order]
        self.keys = self._record_keys
        if len(self._starts):
            self.keys = np.maximum.reduceat(self._record_keys, self._starts)

    def none(self) -> Flags:
        """Return flags that mark no event."""
        return np.zeros(len(self._starts), dtype=np.bool_)

    def same_id_twice(self, among: Flags) -> Flags:
        """Return the events whose id belongs to more than one event of `among`."""
        keys, counts = np.unique(self.keys[among], return_counts=True)
        return np.isin(self.keys, keys[(counts > 1) & (keys > 0)])

    def in_places(self, stage: Stage, *excused: Stage) -> Flags:
        """Return the bodies that are in a stage, and in none of the others."""
        flags = self._bodies_in(stage)
        for each in excused:
            flags = flags & ~self._bodies_in(each)
        return flags

    def with_body(self, bodies: Flags) -> Flags:
        """Return the events with one of these bodies."""
        flags = self.none()
        flags[self._number[bodies[self._of_body.number]]] = True
        return flags

    def mismatched(self) -> Flags:
        """Return the events whose records state different ids, currencies, amounts or identities.

        The same body is the same identity, so two identities of one body are a mismatch.
        """
        currencies = self._column("currencies")[self._order]
        silent = currencies == UNSTATED_CODE
        order, starts, _ = self._of_body
        identities = self._column("identities_high")[order]
        of_one_body = _differs(identities, identities == 0, starts)
        return (
            self.with_body(of_one_body)
            | self._differs(self._record_keys, self._record_keys == 0)
            | self._differs(currencies, silent)
            | self._differs(self._column("amounts")[self._order], silent)
        )

    def summary(self, stage: Stage) -> Summary:
        """Return the figures of a stage."""
        index = self._names.index(stage)
        numbers, currencies, amounts = self._firsts(index)
        codes, totals = _totals(currencies.astype(np.int64), amounts)
        total = {
            currency_of(code): amount
            for code, amount in zip(codes.tolist(), totals, strict=True)
            if code not in (0, UNSTATED_CODE)
        }
        return Summary(len(numbers), len(self._tallies[index]), dict(sorted(total.items())))

    def days(self) -> dict[date, dict[Stage, Part]]:
        """Return the figures of every stage by UTC day, in order of days.

        An event counts on the day of its first receipt. An event that only the client ledger has
        counts on no day.
        """
        first_days = self._first_days()
        parts: dict[date, dict[Stage, Part]] = {}
        for index, stage in enumerate(self._names):
            if not isinstance(stage, Stage):
                continue
            numbers, currencies, amounts = self._firsts(index)
            days = first_days[numbers].astype(np.int64)
            codes, totals = _totals(days << _CURRENCY_BITS | currencies, amounts)
            found, counts = np.unique(days[days != UNDATED], return_counts=True)
            for day, count in zip(found.tolist(), counts.tolist(), strict=True):
                parts.setdefault(EPOCH + timedelta(days=day), {})[stage] = Part(count, {})
            for code, amount in zip(codes.tolist(), totals, strict=True):
                day, currency = code >> _CURRENCY_BITS, code & UNSTATED_CODE
                if day != UNDATED and currency not in (0, UNSTATED_CODE):
                    part = parts[EPOCH + timedelta(days=day)][stage]
                    part.hash_total[currency_of(currency)] = amount
        return dict(sorted(parts.items()))

    def named(self, flags: Flags, names_max: int) -> tuple[Named, ...]:
        """Return the first `names_max` flagged events, sorted by name."""
        named = []
        for number in np.flatnonzero(flags)[:names_max].tolist():
            tally, row = self._first_record(number)
            seen_in = tuple(stage for stage in Stage if self.present[stage][number])
            named.append(Named(tally.name(row), seen_in))
        return tuple(sorted(named))

    def last_seen(self, flags: Flags) -> dict[Stage, int]:
        """Count the flagged events by the last stage that they are in, in the stages' order."""
        counts, left = dict[Stage, int](), flags
        for stage in reversed(Stage):
            counts[stage] = int(np.count_nonzero(left & self.present[stage]))
            left = left & ~self.present[stage]
        return {stage: counts[stage] for stage in Stage if counts[stage]}

    def lost(self, flags: Flags) -> tuple[Lost, ...]:
        """Return the flagged events with the values that a table can be searched by."""
        return tuple(map(self._lost, np.flatnonzero(flags).tolist()))

    def _lost(self, number: int) -> Lost:
        first = int(self._order[self._starts[number]])
        tally, row = self._first_record(number)
        hashes = {hex_of(int(self._identities[0][first]), int(self._identities[1][first]))}
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self._order)
        for record in self._order[self._starts[number] : end].tolist():
            one, at = self._at(record)
            hashes.add(one.body(at))
        return Lost(tally.event_id(row), tuple(sorted(hashes)))

    def _first_record(self, number: int) -> tuple[Tally, int]:
        return self._at(int(self._order[self._starts[number]]))

    def _at(self, record: int) -> tuple[Tally, int]:
        index = int(np.searchsorted(self._bounds, record, side="right")) - 1
        return self._tallies[index], record - int(self._bounds[index])

    def _firsts(self, index: int) -> tuple[Column, Column, Column]:
        """Return the events of a tally, with currency and amount of the first record of each."""
        own = self._number[self._bounds[index] : self._bounds[index + 1]]
        numbers, firsts = np.unique(own, return_index=True)
        tally = self._tallies[index]
        return numbers, np.asarray(tally.currencies)[firsts], np.asarray(tally.amounts)[firsts]

    def _first_days(self) -> Column:
        days = self._column("days")[self._order]
        if not len(days):
            return days
        undated = np.iinfo(days.dtype).max
        first = np.minimum.reduceat(np.where(days == UNDATED, undated, days), self._starts)
        return np.where(first == undated, UNDATED, first)

    def _column(self, name: str) -> Column:
        return np.concatenate([np.asarray(getattr(tally, name)) for tally in self._tallies])

    def _counts(self, index: int) -> Column:
        numbers = self._number[self._bounds[index] : self._bounds[index + 1]]
        return np.bincount(numbers, minlength=len(self._starts))

    def _bodies_in(self, stage: Stage) -> Flags:
        _, starts, number = self._of_body
        flags = np.zeros(len(starts), dtype=np.bool_)
        if stage in self._names:
            index = self._names.index(stage)
            flags[number[self._bounds[index] : self._bounds[index + 1]]] = True
        return flags

    def _differs(self, values: Column, silent: Flags) -> Flags:
        """Return the events of which two records state different values."""
        return _differs(values, silent, self._starts)


def _grouped(hashes: tuple[Column, Column], *within: Flags | Column) -> Groups:
    """Group records by a hash in two halves; `within` sorts a group, the last key first."""
    high, low = hashes
    order = np.lexsort((*within, low, high))
    high, low = high[order], low[order]
    new = np.ones(len(high), dtype=np.bool_)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    number = np.empty(len(high), dtype=np.int64)
    number[order] = np.cumsum(new) - 1
    return Groups(order, np.flatnonzero(new), number)


def _identities(
    bodies: tuple[Column, Column], stated: tuple[Column, Column], groups: Groups
) -> tuple[Column, Column]:
    """Return the identity of each record: the one that its body has, or else the body itself."""
    if not len(groups.order):
        return bodies
    last = groups.order[np.append(groups.starts[1:], len(groups.order)) - 1]
    high, low = (half[last][groups.number] for half in stated)
    unstated = (high == 0) & (low == 0)
    return np.where(unstated, bodies[0], high), np.where(unstated, bodies[1], low)


def _differs(values: Column, silent: Flags, starts: Column) -> Flags:
    """Return the groups of which two records state different values."""
    if not len(values):
        return np.zeros(len(starts), dtype=np.bool_)
    limits = np.iinfo(values.dtype)
    least = np.minimum.reduceat(np.where(silent, limits.max, values), starts)
    most = np.maximum.reduceat(np.where(silent, limits.min, values), starts)
    return np.asarray(most > least)


def _totals(codes: Column, amounts: Column) -> tuple[Column, list[int]]:
    """Return the distinct codes, and the exact sum of each code's amounts, beyond 64 bits too."""
    if not len(codes):
        return codes, []
    order = np.argsort(codes, kind="stable")
    codes, amounts = codes[order], amounts[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    high = np.add.reduceat(amounts >> 32, starts).tolist()
    low = np.add.reduceat(amounts & 0xFFFF_FFFF, starts).tolist()
    return codes[starts], [(h << 32) + lo for h, lo in zip(high, low, strict=True)]
