"""The log format: JSON lines on standard error, without bodies, secrets or personal data.

Every line has `timestamp`, `level`, `service` and `event`. If they apply it has `event_id`,
`trace_id`, `topic`, `partition`, `offset` and `workflow_id`. Log only ids, counts and classes. An
exception is logged with its type and its frames, without local variables. Its message is left out
if messages of its type quote their input.
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
"""Libraries that log from WARNING on, whatever our level is. Below it some log whole messages."""

LIBRARY_REPEAT_S: Final = 10.0
"""Time within which a library's message is logged once. aiokafka writes 25 lines a second while a
broker is down."""

LIBRARY_MESSAGES_MAX: Final = 1000
"""Number of different messages that are remembered for `LIBRARY_REPEAT_S`."""

ERROR_MESSAGE_CHARS_MAX: Final = 300


def configure(service: str, settings: Settings) -> None:
    """Send all logs of the process, also the libraries' logs, to standard error as JSON lines."""
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
    """Drops a message that its logger has written within `LIBRARY_REPEAT_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Compare the message templates without their values: there are few templates."""
        said = (record.name, str(record.msg))
        if record.created - self._said_at_s.get(said, 0.0) < LIBRARY_REPEAT_S:
            return False
        if len(self._said_at_s) > LIBRARY_MESSAGES_MAX:  # a library puts values into its templates
            self._said_at_s.clear()
        self._said_at_s[said] = record.created
        return True


def _dumps(line: object, default: Callable[[Any], Any]) -> str:
    """Write a line as JSON in printable ASCII: a terminal that shows a log must not obey it."""
    try:
        text = orjson.dumps(line, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate or an integer past 64 bits; a log call must never raise
        text = json.dumps(line, default=default)
    if not text.isascii():  # C1 controls, right-to-left and zero-width characters
        text = json.dumps(json.loads(text))
    return text.replace("\x7f", r"\u007f")


def _name_service(service: str) -> structlog.typing.Processor:
    def add(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = service
        return line

    return add


def _name_trace(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Give a line without an event the trace of the current span: a range's or a batch's."""
    if "trace_id" not in line:
        current = trace_id(traces.tracer().current_traceparent())
        if current is not None:
            line["trace_id"] = current
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
        # Messages of these types quote their input (pydantic, JSON, Unicode). Of other messages the
        # first line is kept, without asyncpg's DETAIL lines.
        if not isinstance(error, ValueError | LookupError | TypeError):
            first_line = str(error).partition("\n")[0]
            line["error_message"] = first_line[:ERROR_MESSAGE_CHARS_MAX]
    return line
