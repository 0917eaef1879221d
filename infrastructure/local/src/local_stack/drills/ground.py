"""Where is a drill held? On an isolated stack, with dice from its seed."""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from local_stack import isolated, stack
from local_stack.drills.findings import Findings
from payment_pipeline.settings import Settings


@dataclass
class Ground:
    """All that a drill is given."""

    settings: Settings
    """Of a stack that holds nobody's data."""
    seed: int
    rounds: int
    folder: Path
    """For the drill's own files: ledgers, scratch data."""
    say: Callable[[str], None]
    """Tell the reader, in one line, what is being done."""
    dice: random.Random
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
    run: Callable[[Ground], Findings]


@contextmanager
def isolated_stack(user: Settings) -> Iterator[Settings]:
    """Settings of a stack in a temporary folder; at the end it is stopped and removed.

    Nothing is started yet. The user's cache of programs and trained models are used if they are
    there: neither holds anybody's data, and both take long to make.
    """
    var = Path(tempfile.mkdtemp(prefix="payments-drill-"))
    # PostgreSQL, which runs as a user of its own when we are root, has its data below.
    var.chmod(0o755)
    settings = isolated.settings(var, cache=user.cache)
    if (user.var / "models").is_dir():
        shutil.copytree(user.var / "models", var / "models")
    try:
        yield settings
    finally:
        stack.down(settings)
        shutil.rmtree(var)
