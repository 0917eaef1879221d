"""One audit from the command line: progress, answer, exit code."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from payment_pipeline.adapters import kafka
from payment_pipeline.domain.failures import UserError
from payment_pipeline.ledger import audit_history, audit_json, audit_runner, audit_window
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.settings import Settings

from . import audit_text
from .terminal import Screen


def audit(
    settings: Settings,
    since: str | None,
    until: str | None,
    client_ledger: Path | None,
    wait_s: float,
    through: str | None,
    *,
    as_json: bool,
) -> int:
    """Audit, print the answer on standard output, and return the exit code.

    Raises:
        UserError: the window or the client's ledger can't be read, or a store does not answer.
    """
    if through is not None and through not in audit_runner.THROUGH:
        raise UserError(f"--through {through}: use one of {', '.join(audit_runner.THROUGH)}.")
    span = audit_window.parse(since, until, datetime.now(UTC))
    last = Stage(through) if through else None
    request = audit_runner.Request(span, until is None, client_ledger, wait_s, last)
    kafka.quiet()
    with Screen(stderr=True).status("connecting") as status:
        found = asyncio.run(audit_history.audited(settings, request, status, "operator"))
    if as_json:
        Screen().json(audit_json.as_json(found))
    else:
        audit_text.show(found, Screen())
    return 0 if found.ok else 1
