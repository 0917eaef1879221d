"""One trace from the command line: progress, answer, exit code."""

import asyncio
import json
import sys

from rich.console import Console

from payment_pipeline.adapters import kafka
from payment_pipeline.ledger import event_trace
from payment_pipeline.settings import Settings

from . import trace_text


def show_trace(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """Look an id up, print what happened to it on standard output, and return the exit code.

    Raises:
        UserError: the id is unknown, or a store does not answer.
    """
    kafka.quiet()
    with Console(stderr=True).status("connecting") as status:
        found = asyncio.run(event_trace.trace(settings, wanted, status.update))
    if as_json:
        sys.stdout.write(json.dumps(trace_text.as_json(found), default=str) + "\n")
    else:
        trace_text.show(found, Console(highlight=False))
    return 0
