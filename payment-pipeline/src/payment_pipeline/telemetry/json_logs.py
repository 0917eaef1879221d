"""What may a log line say, and how does it look?

JSON lines on standard error: `timestamp, level, service, event`, and where they apply `event_id`,
`trace_id`, `topic`, `partition`, `offset`, `workflow_id`. A body, a secret or personal data is
never logged: pass ids, counts and classes. An exception is logged by its type and its frames
without local variables, and without its message where such messages quote their input.
"""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from traceback import walk_tb
from typing import Any, Final

import orjson
import structlog

from payment_pipeline.settings import Settings

from . import traces
from .traceparent import trace_id

QUIET_LIBRARIES: Final = (
    *("aiokafka", "aiohttp", "asyncio", "uvicorn", "temporalio", "httpx"),
    *("opentelemetry", "urllib3"),
)
"""They log at WARNING whatever our level is: below it some of them write whole messages."""

LIBRARY_REPEAT_S: Final = 10.0
"""A library says the same thing once in so long: aiokafka has 25 lines a second for a broker that
is away."""

LIBRARY_MESSAGES_MAX: Final = 1000
"""How many different messages are remembered for that."""

ERROR_MESSAGE_CHARS_MAX: Final = 300


def configure(service: str, settings: Settings) -> None:
    """Send the process's logs, the libraries' included, to standard error as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_service(service),
        _name_trace,
        _describe_exception,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level]
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


# --- details ----------------------------------------------------------------------------------


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


def _name_trace(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A line of no event is of the range, or the batch, whose span is around it."""
    if "trace_id" not in line and (around := trace_id(traces.tracer().here())) is not None:
        line["trace_id"] = around
    return line


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
