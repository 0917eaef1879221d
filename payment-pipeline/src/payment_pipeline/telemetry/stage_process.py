"""How does a stage's process run: observed, stopped by a signal, its mistakes one sentence?"""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Final

import uvloop
from prometheus_client import Gauge
from pydantic import ValidationError

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, sentences

from . import json_logs, traces

BUILD: Final = Gauge(
    "payments_build_info", "1 for the version that runs, of each process.", ["service", "version"]
)
COLLECTOR_ALLOCATIONS: Final = 70_000
"""Objects made and not freed between two runs of the cycle collector; Python's default is 700."""
COLLECTOR_RUNS: Final = (3, 1)
"""Runs over the youngest before the next generation is walked too, and of those before all are: a
workflow that leaves the worker's cache is a cycle grown old, and by Python's 10 and 10 it would lie
about for minutes."""


def configure(service: str, settings: Settings) -> None:
    """Make this process's logs, and its spans if any are wanted, those of `service`."""
    BUILD.labels(service, version("payment-pipeline")).set(1)
    json_logs.configure(service, settings)
    traces.configure(service, settings)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a stage until it ends or is told to stop; the whole of a `__main__`.

    SIGTERM and SIGINT cancel `main`, which cleans up in its `finally` blocks and context managers;
    that is a success. A mistake of the user's is one sentence on standard error and its exit code.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(main))
    except UserError as mistake:
        _leave([str(mistake)], mistake.exit_code)
    except ValidationError as wrong:
        if wrong.title != Settings.__name__:
            raise
        _leave(sentences(wrong), 2)
    finally:
        traces.close()


def calm_collector() -> None:
    """Let the cycle collector pass over what is built, and come a hundredth as often.

    Once a process, when all is built. A batch or a request makes up to some 100,000 objects, none
    of them in a cycle and all of them gone at its end; by default they are walked dozens of times:
    a quarter of the normalizer's time, nearly half of the worker's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTOR_ALLOCATIONS, *COLLECTOR_RUNS)


async def _until_signalled(main: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main())
    signalled = False

    def stop() -> None:
        nonlocal signalled
        signalled = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await task
        return
    if not signalled:  # something within cancelled itself: a defect, not a stop
        raise asyncio.CancelledError


def _leave(problems: list[str], exit_code: int) -> None:
    sys.stderr.writelines(f"payments: {problem}\n" for problem in problems)
    sys.exit(exit_code)
