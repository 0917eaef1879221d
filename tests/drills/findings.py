"""What did a drill find, and how much does it prove?"""

from dataclasses import dataclass, field
from math import ceil, exp, lgamma, log
from typing import Any, Final

RULE_OF_THREE: Final = 3.0
"""Nothing in N tries bounds the rate at 3/N with 95 % confidence (Hanley, Lippman-Hand 1983)."""
CONFIDENCE: Final = 0.95
HALVINGS: Final = 60


class SkippedError(Exception):
    """The drill can't be run on this machine; the sentence says what it lacks."""


@dataclass
class Findings:
    """What a drill counted, and each requirement that did not hold."""

    acknowledged: int = 0
    """Distinct events that were answered 200."""
    lost: int = 0
    """Of them, those that are in no place."""
    duplicated: int = 0
    """Of them, those that are in a place twice."""
    unknown: int = 0
    """Distinct events that were never answered 200, but perhaps taken."""
    outages_s: list[float] = field(default_factory=list)
    """From each failure until the pipeline did its work again."""
    control_failed: bool = False
    """Whether the same check failed, as it should, with the protection taken away."""
    tries: int | None = None
    """What the bound is over; the acknowledged events when it is None."""
    figures: dict[str, float | int | str] = field(default_factory=dict)
    """What else was measured, by name, units last."""
    faults: list[str] = field(default_factory=list)
    broke: bool = False
    """It ended before its counts and its control were there."""
    late: list[str] = field(default_factory=list)
    """Each limit of time that was not kept: on a busy machine the pipeline may not be the cause."""

    def require(self, holds: bool, sentence: str) -> None:
        """Note a requirement that does not hold."""
        if not holds:
            self.faults.append(sentence)

    def require_in_time(self, holds: bool, sentence: str) -> None:
        """Note a limit of time that was not kept."""
        if not holds:
            self.late.append(sentence)

    @property
    def right(self) -> bool:
        """Nothing lost or twice, every requirement but those of time held, the control failed."""
        return self.control_failed and not (self.lost or self.duplicated or self.faults)

    @property
    def ok(self) -> bool:
        """Right, and in time."""
        return self.right and not self.late

    @property
    def outage_s_p95(self) -> float | None:
        """By nearest rank; None when nothing had to recover."""
        if not self.outages_s:
            return None
        return round(sorted(self.outages_s)[ceil(0.95 * len(self.outages_s)) - 1], 3)

    @property
    def rate_max_95(self) -> float | None:
        """The 95 % upper bound on the rate of what was lost or twice; None without tries."""
        tries = self.acknowledged if self.tries is None else self.tries
        return min(1.0, _events_max(self.lost + self.duplicated) / tries) if tries else None

    def as_json(self) -> dict[str, Any]:
        """As `var/drills.json` has it, without what the runner knows."""
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
    """The 95 % upper bound on what is expected where so many were seen (Poisson, one-sided)."""
    if not seen:
        return RULE_OF_THREE
    low, high = float(seen), 2.0 * seen + 10
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        at_most = sum(exp(n * log(middle) - middle - lgamma(n + 1)) for n in range(seen + 1))
        low, high = (middle, high) if at_most > 1 - CONFIDENCE else (low, middle)
    return high
