"""Signed traffic beside whatever a drill does: from a thread, until the drill has done it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final

from drills.drill import DrillContext
from payment_pipeline.domain.failures import UserError
from payment_pipeline.simulator.run import Faults, Pace, Run, Silent, simulate

CHUNK_EVENTS: Final = 500
"""The load ends between two chunks; each is a market of its own, with ids of its own."""
CONNECT_PAUSE_S: Final = 0.2


@contextmanager
def load(
    context: DrillContext, ledger: Path, rate_per_s: float | None, faults: Faults
) -> Iterator[Event]:
    """Send until the block ends, and what is under way to its last answer.

    Yields an event that is set when the load has ended by itself, which is a failure.

    Raises:
        RuntimeError: a delivery got a wrong answer, or none after every try.
    """
    stop, ended = Event(), Event()
    first_seed = context.rng.randrange(2**31)

    def send() -> None:
        try:
            seed = first_seed
            while not stop.is_set():
                send_chunk(context, ledger, seed, CHUNK_EVENTS, rate_per_s, faults)
                seed += 1
        finally:
            ended.set()

    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)
        try:
            yield ended
        finally:
            stop.set()
        sending.result()


def send_chunk(
    context: DrillContext,
    ledger: Path,
    seed: int,
    events: int,
    rate_per_s: float | None = None,
    faults: Faults = Faults(),  # noqa: B008 - frozen
    url: str | None = None,
) -> dict[str, Any]:
    """Send so many events and their faults; the simulator's summary.

    Raises:
        RuntimeError: a delivery got a wrong answer, or none after every try.
    """
    run = Run(
        events=events, seed=seed, faults=faults, pace=Pace(rate_per_s), ledger=ledger, url=url
    )
    while True:
        try:
            told = simulate(context.settings, run, Silent())
        except UserError:  # nobody listens at the moment
            Event().wait(CONNECT_PAUSE_S)
            continue
        if not told["ok"]:
            raise RuntimeError(f"wrong answers: {told['unexpected']}, gave up: {told['gave_up']}")
        return told
