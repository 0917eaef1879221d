"""The findings of a drill, and the failure rate that they rule out."""

from dataclasses import dataclass, field
from math import ceil, exp, lgamma, log
from typing import Any, Final

RULE_OF_THREE: Final = 3.0
"""No failure in N tries: the rate is below 3/N with 95 % confidence (Hanley, Lippman-Hand 1983)."""
CONFIDENCE: Final = 0.95
HALVINGS: Final = 60


class SkippedError(Exception):
    """The drill cannot run on this machine. The message says what is missing."""


@dataclass
class Findings:
    """The counts of a drill, and each requirement that failed."""

    acknowledged: int = 0
    """Distinct events that were answered 200."""
    lost: int = 0
    """Acknowledged events that are in no destination."""
    duplicated: int = 0
    """Acknowledged events that are twice in one destination, or in two destinations."""
    unknown: int = 0
    """Distinct events that were never answered 200, but may have been stored."""
    outages_s: list[float] = field(default_factory=list)
    """Seconds from each failure until the pipeline worked again."""
    control_failed: bool = False
    """Whether the same check failed with the protection removed, as it should."""
    tries: int | None = None
    """Number of tries for the bound on the failure rate; None means `acknowledged`."""
    figures: dict[str, float | int | str] = field(default_factory=dict)
    """Other measurements by name, with the unit last in the name."""
    faults: list[str] = field(default_factory=list)
    """A sentence for each requirement that failed."""
    broke: bool = False
    """Whether the drill raised before it had its counts and its control."""
    late: list[str] = field(default_factory=list)
    """A sentence for each missed time limit. A busy machine may be the cause."""

    def require(self, holds: bool, sentence: str) -> None:
        """Add the sentence to `faults` if the requirement does not hold."""
        if not holds:
            self.faults.append(sentence)

    def require_in_time(self, holds: bool, sentence: str) -> None:
        """Add the sentence to `late` if the time limit does not hold."""
        if not holds:
            self.late.append(sentence)

    @property
    def right(self) -> bool:
        """Whether nothing was lost or duplicated, all requirements held and the control failed.

        Time limits do not count.
        """
        return self.control_failed and not (self.lost or self.duplicated or self.faults)

    @property
    def ok(self) -> bool:
        """Whether the drill is `right` and kept every time limit."""
        return self.right and not self.late

    @property
    def outage_s_p95(self) -> float | None:
        """The 95th percentile of `outages_s` by nearest rank; None without outages."""
        if not self.outages_s:
            return None
        return round(sorted(self.outages_s)[ceil(0.95 * len(self.outages_s)) - 1], 3)

    @property
    def rate_max_95(self) -> float | None:
        """The 95 % upper bound on the rate of lost or duplicated events; None without tries."""
        tries = self.acknowledged if self.tries is None else self.tries
        return min(1.0, _events_max(self.lost + self.duplicated) / tries) if tries else None

    def as_json(self) -> dict[str, Any]:
        """Return the entry for `var/drills.json`, without the fields that the runner adds."""
        return {
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "unknown": self.unknown,
            "recovery_seconds_p95": self.outage_s_p95,
            "rate_max_95": self.rate_max_95,
            "control_failed": self.control_failed,
            "figures": self.figures,
            "faults": self.faults,
            "late": self.late,
            "ok": self.ok,
        }


def _events_max(seen: int) -> float:
    """Return the one-sided 95 % upper bound on a Poisson mean, given the observed count."""
    if not seen:
        return RULE_OF_THREE
    low, high = float(seen), 2.0 * seen + 10
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        at_most = sum(exp(n * log(middle) - middle - lgamma(n + 1)) for n in range(seen + 1))
        low, high = (middle, high) if at_most > 1 - CONFIDENCE else (low, middle)
    return high
