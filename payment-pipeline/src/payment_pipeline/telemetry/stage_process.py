"""The frame of a stage's process: set-up of telemetry, stop by a signal, one sentence per error."""

import asyncio
import gc
import os
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
from payment_pipeline.invalid_settings import sentences
from payment_pipeline.settings import PRIVATE_UMASK, Settings

from . import json_logs, traces

BUILD: Final = Gauge(
    "payments_build_info",
    "1, with the service and its running version as labels.",
    ["service", "version"],
)
COLLECTOR_ALLOCATIONS: Final = 70_000
"""New objects less freed ones between two runs of the cycle collector; Python's default is 700."""
COLLECTOR_RUNS: Final = (3, 1)
"""Runs over the youngest generation until the second is included; runs over the second until all
are included. A workflow that leaves the worker's cache is a cycle in an old generation. Python's
defaults of 10 and 10 would free its memory only after minutes."""


def configure(service: str, settings: Settings) -> None:
    """Set up the logs of this process and, if a collector is configured, its spans."""
    BUILD.labels(service, version("payment-pipeline")).set(1)
    json_logs.configure(service, settings)
    traces.configure(service, settings)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a stage until it ends or a signal stops it. A `__main__` only calls this.

    SIGTERM and SIGINT cancel `main`, which cleans up in its `finally` blocks and context managers;
    the exit code is then 0. A `UserError` or a wrong setting is printed to standard error as one
    sentence, with its exit code.
    """
    os.umask(PRIVATE_UMASK)
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
    """Exclude existing objects from the cycle collector, and run it a hundredth as often.

    Call it once in a process, after all clients are built. A batch or a request makes up to 100,000
    objects. None of them is in a cycle, and all are freed at its end. By default the collector
    visits them dozens of times, which took a quarter of the normalizer's time and nearly half of
    the worker's.
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
    if not signalled:  # `main` cancelled itself: a defect, not a stop
        raise asyncio.CancelledError


def _leave(problems: list[str], exit_code: int) -> None:
    sys.stderr.writelines(f"payments: {problem}\n" for problem in problems)
    sys.exit(exit_code)
