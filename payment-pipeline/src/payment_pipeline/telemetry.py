"""What every process shares to be observed and run: logs, metrics, traces, probes, its run.

Logs are JSON lines on standard error: `timestamp, level, service, event`, and where they apply
`event_id`, `trace_id`, `topic`, `partition`, `offset`, `workflow_id`. A body, a secret or personal
data is never logged: pass ids, counts and classes. An exception is logged by its type and its
frames without local variables, and without its message where such messages quote their input.

Metrics are `prometheus_client`'s own, made once a module at import and read by `metrics_page`.
"""

import asyncio
import gc
import json
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from traceback import walk_tb
from typing import Any, Final

import orjson
import structlog
import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, sentences

COLLECTOR_ALLOCATIONS: Final = 70_000
"""Objects made and not freed between two runs of the cycle collector; Python's default is 700."""
LATENCY_BUCKETS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Histogram buckets of every latency, so that the stages' panels share one axis."""

QUIET_LIBRARIES: Final = ("aiokafka", "aiohttp", "asyncio", "uvicorn", "temporalio", "httpx")
"""They log at WARNING whatever our level is: below it some of them write whole messages."""

LIBRARY_REPEAT_S: Final = 10.0
"""A library says the same thing once in so long: aiokafka has 25 lines a second for a broker that
is away."""

LIBRARY_MESSAGES_MAX: Final = 1000
"""How many different messages are remembered for that."""

ERROR_MESSAGE_CHARS_MAX: Final = 300


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


def calm_collector() -> None:
    """Let the cycle collector pass over what is built, and come a hundredth as often.

    Once a process, when all is built. A batch or a request makes up to some 100,000 objects, none
    of them in a cycle and all of them gone at its end; by default they are walked dozens of times:
    a quarter of the normalizer's time, nearly half of the worker's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTOR_ALLOCATIONS)


def configure(service: str, settings: Settings) -> None:
    """Send the process's logs, the libraries' included, to standard error as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_service(service),
        _describe_exception,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Unrepeated())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(_dumps),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for library in QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.WARNING))


def metrics_page() -> tuple[bytes, str]:
    """Every metric of this process in Prometheus' text format, and its content type."""
    return generate_latest(), CONTENT_TYPE_LATEST


@asynccontextmanager
async def serve_probes(port: int, host: str, ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve `/livez`, `/readyz` and `/metrics` for a stage that has no HTTP of its own.

    Raises:
        UserError: the port is taken.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        up = ready()
        return web.Response(text="ready\n" if up else "not ready\n", status=200 if up else 503)

    async def metrics(_: web.Request) -> web.Response:
        page, content_type = metrics_page()
        return web.Response(body=page, headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UserError(f"Port {port} on {host} can't be used: {error.strerror}.") from error
        yield
    finally:
        await runner.cleanup()


# --- W3C Trace Context, version 00 ------------------------------------------------------------

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def child_of(traceparent: str | None) -> str:
    """A new span's traceparent: in the given trace, or in a new one when the given isn't valid.

    Only what matches the format to the letter is taken over, so it is safe to give a header of a
    stranger's. A new trace is marked as sampled; a child keeps its parent's flags.
    """
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        return f"{traceparent[:36]}{os.urandom(8).hex()}{traceparent[52:]}"
    fresh = os.urandom(24).hex()
    return f"00-{fresh[:32]}-{fresh[32:]}-01"


def trace_id(traceparent: str | None) -> str | None:
    """The trace's id for a log line, or `None`."""
    if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
        return None
    return traceparent[3:35]


# --- details ----------------------------------------------------------------------------------


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


class _Unrepeated(logging.Filter):
    """Lets a message through that its logger hasn't said for `LIBRARY_REPEAT_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Templates are compared, not what they are filled with: they are few."""
        said = (record.name, str(record.msg))
        if record.created - self._said_at_s.get(said, 0.0) < LIBRARY_REPEAT_S:
            return False
        if len(self._said_at_s) > LIBRARY_MESSAGES_MAX:  # someone fills them in before logging
            self._said_at_s.clear()
        self._said_at_s[said] = record.created
        return True


def _dumps(line: object, default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(line, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, an integer past 64 bits: a log call must never raise
        return json.dumps(line, default=default)


def _name_service(service: str) -> structlog.typing.Processor:
    def add(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = service
        return line

    return add


def _describe_exception(
    _: object, __: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    given = line.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line["error"] = type(error).__qualname__
        line["frames"] = [
            f"{frame.f_code.co_filename}:{number} {frame.f_code.co_name}"
            for frame, number in walk_tb(error.__traceback__)
        ]
        # These quote what they choked on (pydantic, JSON, Unicode, asyncpg's DETAIL lines).
        if not isinstance(error, ValueError | LookupError | TypeError):
            first_line = str(error).partition("\n")[0]
            line["error_message"] = first_line[:ERROR_MESSAGE_CHARS_MAX]
    return line
