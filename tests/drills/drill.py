"""The definition of a drill, and the context in which a drill runs."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drills.findings import Findings
from payment_pipeline.settings import Settings


@dataclass
class DrillContext:
    """Everything that a drill receives."""

    settings: Settings
    """Settings of an isolated stack without user data."""
    seed: int
    rounds: int
    folder: Path
    """Folder for the files of this drill: ledgers, temporary data."""
    progress: Callable[[str], None]
    """Prints one line that says what the drill is doing."""
    rng: random.Random
    """Seeded with the seed and the drill's name, so two drills never send the same events."""
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Start of this drill. Events of earlier drills were received before this time."""


class Drill(NamedTuple):
    """One drill, as a module of the catalogue defines it."""

    number: int
    """Row number in the table of drills."""
    promise: str
    """The promise that the drill tests, in one sentence."""
    needs: tuple[str, ...]
    """Components that must be ready, and start with those that they depend on. Empty: no stack."""
    run: Callable[[DrillContext], Findings]
    full_rounds: int
    """Number of rounds behind the figures in `docs/reliability.md`."""
