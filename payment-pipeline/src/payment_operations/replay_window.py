"""One replay from the command line: progress, answer, exit code."""

import asyncio
from datetime import UTC, datetime

from payment_pipeline.adapters import kafka
from payment_pipeline.ledger import audit_window
from payment_pipeline.replay.replay_batch import Request
from payment_pipeline.replay.replay_runner import replay
from payment_pipeline.settings import Settings

from . import replay_text
from .terminal import Screen


def replay_window(
    settings: Settings,
    ends: tuple[str, str],
    *,
    provider: str | None,
    event_type: str | None,
    dry_run: bool,
    rate: float,
    wait_s: float,
    as_json: bool,
) -> int:
    """Replay a window, print the result on standard output, and return the exit code.

    Raises:
        UserError: the window can't be read, or a store does not answer.
    """
    span = audit_window.parse(*ends, datetime.now(UTC))
    request = Request(span, provider, event_type, dry_run, rate, wait_s)
    kafka.quiet()
    with Screen(stderr=True).status("connecting") as status:
        report = asyncio.run(replay(settings, request, status))
    if as_json:
        Screen().json(replay_text.as_json(report))
    else:
        replay_text.show(report, Screen())
    return 0 if report.ok else 1
