"""The result of one drill, as the table and `var/drills.json` show it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from drills.drill import Drill
from drills.findings import Findings


@dataclass
class Result:
    """The result of a drill that ran or was skipped."""

    name: str
    drill: Drill
    seed: int
    rounds: int
    seconds: float = 0.0
    skipped: str = ""
    """Why the drill could not run on this machine."""
    findings: Findings = field(default_factory=Findings)

    @property
    def ok(self) -> bool:
        """Whether the drill passed or was skipped."""
        return bool(self.skipped) or self.findings.ok

    def as_json(self) -> dict[str, Any]:
        """Return the entry for `var/drills.json`."""
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
