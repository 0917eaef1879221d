"""The result of one drill, as the table shows it and `var/drills.json` keeps it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from drills.drill import Drill
from drills.findings import Findings


@dataclass
class Result:
    """A drill that was held, or was skipped."""

    name: str
    drill: Drill
    seed: int
    rounds: int
    seconds: float = 0.0
    skipped: str = ""
    """Why it could not be held here."""
    findings: Findings = field(default_factory=Findings)

    @property
    def ok(self) -> bool:
        """It found nothing wrong, or there was nothing to find."""
        return bool(self.skipped) or self.findings.ok

    def as_json(self) -> dict[str, Any]:
        """As `var/drills.json` has it."""
        return {
            "name": self.name,
            "number": self.drill.number,
            "seed": self.seed,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 1),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **self.findings.as_json(),
            "skipped": self.skipped or None,
            "ok": self.ok,
        }
