"""Which distinct events are in a reading, and what does each stage say of them?

Columns, one value a record or an event: a million events take a second, not a minute.
"""

from datetime import date, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .stage_tally import EPOCH, UNDATED, UNSTATED_CODE, Tally, currency_of
from .stages import LAKEHOUSE, Reading, Stage

Flags: TypeAlias = npt.NDArray[np.bool_]
"""One truth value an event."""
Column: TypeAlias = npt.NDArray[np.integer[Any]]
"""One number a record or an event."""

_CURRENCY_BITS: Final = 16


class Summary(NamedTuple):
    """One stage in figures."""

    events: int
    """Distinct events."""
    records: int
    hash_total: dict[str, int]
    """By currency, in minor units, over distinct events."""


class Part(NamedTuple):
    """One stage's part of a day."""

    events: int
    """Distinct events."""
    hash_total: dict[str, int]
    """By currency, in minor units, over distinct events."""


class Named(NamedTuple):
    """One event that is not as it should be."""

    event_id: str
    seen_in: tuple[Stage, ...]
    """In the data's order: the last is where it was last seen."""


class Lost(NamedTuple):
    """A missing event as the tables can be asked for it."""

    event_id: str | None
    identity: str
    """The first hex digits of its body's SHA-256."""


class Events:
    """Distinct events, numbered, with what each tally says of them as one array a question."""

    def __init__(self, reading: Reading) -> None:
        tallies = reading.tallies()
        self.stages = frozenset(reading.stages)
        self._places = list(tallies)
        self._tallies = list(tallies.values())
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

        absent = np.zeros(len(self._starts), dtype=np.int64)
        counts = dict(zip(tallies, map(self._counts, range(len(self._tallies))), strict=True))
        self.records: dict[Stage, Column] = {s: counts.get(s, absent) for s in Stage}
        self.present: dict[Stage, Flags] = {s: n > 0 for s, n in self.records.items()}
        self.pending: dict[Stage, Flags] = {s: counts[f"pending {s}"] > 0 for s in LAKEHOUSE}
        self.unanswered: Flags = counts["unanswered"] > 0
        self.refused: Flags = counts["refused"] > 0
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
        place = self._places.index(stage)
        numbers, currencies, amounts = self._firsts(place)
        codes, totals = _totals(currencies.astype(np.int64), amounts)
        total = {
            currency_of(code): amount
            for code, amount in zip(codes.tolist(), totals, strict=True)
            if code not in (0, UNSTATED_CODE)
        }
        return Summary(len(numbers), len(self._tallies[place]), dict(sorted(total.items())))

    def days(self) -> dict[date, dict[Stage, Part]]:
        """Every stage's part of each UTC day, in order; an event is of the day it first came.

        An event that only the client knows is of no day.
        """
        first_days = self._first_days()
        parts: dict[date, dict[Stage, Part]] = {}
        for place, stage in enumerate(self._places):
            if not isinstance(stage, Stage):
                continue
            numbers, currencies, amounts = self._firsts(place)
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
        """The first of the flagged events by name."""
        named = []
        for number in np.flatnonzero(flags)[:names_max].tolist():
            tally, row = self._first_record(number)
            seen_in = tuple(stage for stage in Stage if self.present[stage][number])
            named.append(Named(tally.name(row), seen_in))
        return tuple(sorted(named))

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

    def _firsts(self, place: int) -> tuple[Column, Column, Column]:
        """The distinct events of a place, with currency and amount of the first record of each."""
        own = self._number[self._bounds[place] : self._bounds[place + 1]]
        numbers, firsts = np.unique(own, return_index=True)
        tally = self._tallies[place]
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

    def _counts(self, place: int) -> Column:
        numbers = self._number[self._bounds[place] : self._bounds[place + 1]]
        return np.bincount(numbers, minlength=len(self._starts))

    def _differs(self, values: Column, silent: Flags) -> Flags:
        """Events of which two records that aren't silent have different values."""
        if not len(values):
            return self.none()
        limits = np.iinfo(values.dtype)
        least = np.minimum.reduceat(np.where(silent, limits.max, values), self._starts)
        most = np.maximum.reduceat(np.where(silent, limits.min, values), self._starts)
        return np.asarray(most > least)


def _totals(codes: Column, amounts: Column) -> tuple[Column, list[int]]:
    """The distinct codes, and the sum of each one's amounts: in full, past 64 bits."""
    if not len(codes):
        return codes, []
    order = np.argsort(codes, kind="stable")
    codes, amounts = codes[order], amounts[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    high = np.add.reduceat(amounts >> 32, starts).tolist()
    low = np.add.reduceat(amounts & 0xFFFF_FFFF, starts).tolist()
    return codes[starts], [(h << 32) + lo for h, lo in zip(high, low, strict=True)]
