"""A loader that kills itself during a load: `python -m drills.crashing_loader POINT`.

The process uses SIGKILL, so only what it has already written remains.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, ParamSpec, TypeVar
from unittest.mock import patch

from pyiceberg.table import CommitTableResponse, Transaction

from drills.lake_faults import EVENTS, around_commits
from orchestration_dagster.lake.bronze_arrow import Bronze
from orchestration_dagster.lake.loader import load
from payment_pipeline import settings

POINTS: Final = ("read", "writing", "before", "at", "after")
"""Where the loader dies: after it read rows of bronze, while it writes files, before it sends the
commit, while the commit is in flight, or after the commit was answered."""
IN_FLIGHT_S: Final = 0.005
"""Time from the start of a step until the process dies within it."""

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def die() -> None:
    """Kill this process, as the kernel kills a process that uses too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(point: str) -> None:
    """Load the events, and die at the given point of `POINTS`."""
    with _dying(point):
        load(settings.load(), EVENTS.name)


def _dying(point: str) -> AbstractContextManager[Any]:
    if point == "read":
        return patch.object(Bronze, "batch", _dead_after(Bronze.batch))
    if point == "writing":
        return patch.object(Transaction, "append", _dead_within(Transaction.append))

    def commit_dying(commit: Callable[[], CommitTableResponse]) -> CommitTableResponse:
        if point == "before":
            die()
        return (_dead_within if point == "at" else _dead_after)(commit)()

    return around_commits(commit_dying)


def _dead_after(step: Callable[Given, Answer]) -> Callable[Given, Answer]:
    def dies(*given: Given.args, **named: Given.kwargs) -> Answer:
        answer = step(*given, **named)
        die()
        return answer

    return dies


def _dead_within(step: Callable[Given, Answer]) -> Callable[Given, Answer]:
    def dies(*given: Given.args, **named: Given.kwargs) -> Answer:
        threading.Timer(IN_FLIGHT_S, die).start()
        answer = step(*given, **named)
        threading.Event().wait()
        return answer

    return dies


if __name__ == "__main__":
    main(*sys.argv[1:])
