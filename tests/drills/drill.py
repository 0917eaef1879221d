"""Where is a drill held? On an isolated stack, with rng from its seed."""

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
    """All that a drill is given."""

    settings: Settings
    """Of a stack that holds nobody's data."""
    seed: int
    rounds: int
    folder: Path
    """For the drill's own files: ledgers, scratch data."""
    progress: Callable[[str], None]
    """Tell the reader, in one line, what is being done."""
    rng: random.Random
    """Follow from the seed and the drill's name: no two drills send the same events."""
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """What other drills left was received before."""


class Drill(NamedTuple):
    """One drill, as its module offers it."""

    number: int
    """Its place in the table."""
    promise: str
    """What it tries, in one sentence."""
    needs: tuple[str, ...]
    """The components that must be ready; what these need comes with them."""
    run: Callable[[DrillContext], Findings]
    full_rounds: int
    """How many its figure in `docs/reliability.md` takes."""
