"""One audit from the command line: progress, answer, exit code."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg

from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.books import event_comparison
from payment_pipeline.books.event_comparison import Comparison
from payment_pipeline.domain.failures import UserError
from payment_pipeline.ledger import audit_history, audit_json, audit_runner, audit_window
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.settings import Settings

from . import audit_text
from .terminal import Screen

PROVIDER: Final = "stripe"
"""The provider whose books are compared."""


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

    The stage `provider` compares the provider's list of events with bronze, if one was pulled.

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
    provider = asyncio.run(_provider(settings))
    if as_json:
        said = audit_json.as_json(found)
        if provider:
            said |= {
                "ok": found.ok and provider.is_whole,
                "provider": event_comparison.as_json(provider),
            }
        Screen().json(said)
    else:
        audit_text.show(found, Screen())
        _show_provider(provider, Screen())
    return 0 if found.ok and (provider is None or provider.is_whole) else 1


async def _provider(settings: Settings) -> Comparison | None:
    """The stage before the gateway: what the provider lists; `None` if nothing was ever pulled."""
    pool = await postgres.pool(settings, application="payments-audit", service="reader")
    try:
        compared = await event_comparison.compare(pool, PROVIDER, datetime.now(UTC))
    except asyncpg.UndefinedTableError:  # the schema is older than this code
        return None
    finally:
        await pool.close()
    return compared if compared.accounts else None


def _show_provider(provider: Comparison | None, screen: Screen) -> None:
    if provider is None:
        screen.line("Not audited: provider (run `payments books pull`).", style="dim")
        return
    style = "green" if provider.ok else "red"
    screen.line(f"provider: {event_comparison.verdict(provider)}", style=style)
