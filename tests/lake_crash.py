"""Who dies at the commit? `python tests/lake_crash.py <namespace> <before|at|after>` does.

The process kills itself with SIGKILL: before the commit is sent, while it is under way, or once it
has been answered; nothing of it is left but what it had written.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable

import pytest
from pyiceberg.table import CommitTableResponse

from lake_loads import EVENTS, at_commits
from orchestration_dagster.lake import tables
from orchestration_dagster.lake.loader import load
from payment_pipeline import settings


def die() -> None:
    """As the kernel does it to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(namespace: str, point: str) -> None:
    """Load the events, and die on the way."""

    def dying(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if point == "before":
            die()
        if point == "at":
            threading.Timer(0.005, die).start()
        answer = commit()
        if point == "after":
            die()
        threading.Event().wait()
        return answer

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(tables, "NAMESPACE", namespace)
        at_commits(patches, dying)
        load(settings.load(), EVENTS.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
