"""What do `payments audit` and `payments trace` do with a terminal?"""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from payment_pipeline.settings import Settings

from . import report, run, trace, trace_report, window


def audit(
    settings: Settings,
    since: str | None,
    until: str | None,
    client_ledger: Path | None,
    wait_s: float,
    *,
    as_json: bool,
) -> int:
    """Audit, print the answer on standard output, and return the exit code.

    Raises:
        UserError: the window or the client's ledger can't be read, or a store does not answer.
    """
    span = window.parse(since, until, datetime.now(UTC))
    request = run.Request(span, until is None, client_ledger, wait_s)
    _quiet()
    with Console(stderr=True).status("connecting") as status:
        found = asyncio.run(run.run(settings, request, status.update))
    if as_json:
        # Not orjson: a hash total may need more than 64 bits.
        sys.stdout.write(json.dumps(report.as_json(found)) + "\n")
    else:
        report.show(found, Console(highlight=False))
    return 0 if found.audit.ok else 1


def show_trace(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """Trace an id, print its life on standard output, and return the exit code.

    Raises:
        UserError: nothing has that id, or a store does not answer.
    """
    _quiet()
    with Console(stderr=True).status("connecting") as status:
        found = asyncio.run(trace.trace(settings, wanted, status.update))
    if as_json:
        sys.stdout.write(json.dumps(trace_report.as_json(found), default=str) + "\n")
    else:
        trace_report.show(found, Console(highlight=False))
    return 0


def _quiet() -> None:
    """A client's own log lines say again, and worse, what the sentence on standard error says."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
