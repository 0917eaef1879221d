"""One replay from the command line: progress, answer, exit code."""

import asyncio
from datetime import UTC, datetime
from typing import Any

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
    detail: dict[str, Any],
    *,
    provider: str | None,
    event_type: str | None,
    dry_run: bool,
    rate: float,
    wait_s: float,
    as_json: bool,
) -> int:
    """Replay a window, print the result on standard output, and return the exit code.

    The name of the replay and its counts go into `detail`, for the record of the action.

    Raises:
        UserError: the window can't be read, or a store does not answer.
    """
    span = audit_window.parse(*ends, datetime.now(UTC))
    request = Request(span, provider, event_type, dry_run, rate, wait_s)
    kafka.quiet()
    with Screen(stderr=True).status("connecting") as status:
        report = asyncio.run(replay(settings, request, status))
    counts = {outcome.value: count for outcome, count in report.outcomes.items()}
    detail |= {"replay": report.by, "records": report.records, "outcomes": counts}
    if as_json:
        Screen().json(replay_text.as_json(report))
    else:
        replay_text.show(report, Screen())
    return 0 if report.ok else 1
