"""Signed traffic from a background thread while a drill causes faults."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final

from drills.drill import DrillContext
from payment_pipeline.domain.failures import UserError
from payment_pipeline.simulator.simulation_run import Faults, Pace, Run, Silent, simulate

CHUNK_EVENTS: Final = 500
"""The load stops between two chunks. Each chunk simulates a separate market with separate ids."""
CONNECT_PAUSE_S: Final = 0.2


@contextmanager
def load(
    context: DrillContext, ledger: Path, rate_per_s: float | None, faults: Faults
) -> Iterator[Event]:
    """Send events until the block ends, then wait for the last answers.

    Yields a `threading.Event` that is set if the load ends before the block does: a failure.

    Raises:
        RuntimeError: a delivery got a wrong answer, or no answer after all tries.
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
    """Send events with faults, and return the simulator's summary.

    Raises:
        RuntimeError: a delivery got a wrong answer, or no answer after all tries.
    """
    run = Run(
        events=events, seed=seed, faults=faults, pace=Pace(rate_per_s), ledger=ledger, url=url
    )
    while True:
        try:
            summary = simulate(context.settings, run, Silent())
        except UserError:  # no gateway listens at the moment
            Event().wait(CONNECT_PAUSE_S)
            continue
        if not summary["ok"]:
            raise RuntimeError(
                f"The load failed. Wrong answers: {summary['unexpected']}. "
                f"Deliveries without an answer: {summary['gave_up']}."
            )
        return summary
