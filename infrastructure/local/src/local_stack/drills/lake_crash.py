"""Who dies at the commit? `python -m local_stack.drills.lake_crash <before|at|after>` does.

The process kills itself with SIGKILL: before the commit is sent, while it is under way, or once it
has been answered; nothing of it is left but what it had written.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from pyiceberg.table import CommitTableResponse

from local_stack.drills.lake import EVENTS, at_commits
from orchestration_dagster.lake.loader import load
from payment_pipeline import settings

POINTS: Final = ("before", "at", "after")
UNDER_WAY_S: Final = 0.005


def die() -> None:
    """As the kernel does it to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(point: str) -> None:
    """Load the events, and die on the way."""

    def dying(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if point == "before":
            die()
        if point == "at":
            threading.Timer(UNDER_WAY_S, die).start()
        answer = commit()
        if point == "after":
            die()
        threading.Event().wait()
        return answer

    with at_commits(dying):
        load(settings.load(), EVENTS.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
