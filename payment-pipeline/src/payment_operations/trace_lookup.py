"""One trace from the command line: progress, answer, exit code."""

import asyncio

from payment_pipeline.adapters import kafka
from payment_pipeline.ledger import event_trace
from payment_pipeline.settings import Settings

from . import trace_text
from .terminal import Screen


def show_trace(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """Look an id up, print what happened to it on standard output, and return the exit code.

    Raises:
        UserError: the id is unknown, or a store does not answer.
    """
    kafka.quiet()
    with Screen(stderr=True).status("connecting") as status:
        found = asyncio.run(event_trace.trace(settings, wanted, status))
    if as_json:
        Screen().json(trace_text.as_json(found), default=str)
    else:
        trace_text.show(found, Screen())
    return 0
