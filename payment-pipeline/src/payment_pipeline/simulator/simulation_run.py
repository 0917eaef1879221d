"""One run of the simulator: makes the traffic, sends it, and summarizes the answers."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final, Protocol

import uvloop

from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings

from .answer_tally import Tally, percentiles_ms
from .faults import Faults
from .sender import Pace, Target, require_reachable, send, target
from .traffic import Period, deliveries

__all__ = ("Faults", "Pace", "Period", "Run", "Silent", "Watcher", "midnight", "simulate")

CONNECTIONS: Final = 32
TIMEOUT_S: Final = 10.0
"""Longer than the gateway's own deadline, so that late answers count as answers."""


@dataclass(frozen=True, slots=True)
class Run:
    """The options of a run. The defaults are those of the command."""

    events: int
    seed: int = 1
    period: Period = field(default_factory=lambda: Period(midnight(None)))
    faults: Faults = field(default_factory=Faults)
    pace: Pace = field(default_factory=Pace)
    connections: int = CONNECTIONS
    timeout_s: float = TIMEOUT_S
    url: str | None = None
    """`None` means the gateway of the settings."""
    ledger: Path | None = None
    """`None` means a new file in `<var>/simulator/`."""


class Watcher(Protocol):
    """Receives the progress of a run."""

    def begin(self, run: Run, url: str, ledger: Path) -> None:
        """Note the start of a run, before anything is sent."""

    async def watch(self, tally: Tally, deliveries_planned: int) -> None:
        """Show the counts of a run until cancelled."""


class Silent:
    """A watcher that shows nothing."""

    def begin(self, run: Run, url: str, ledger: Path) -> None:
        """See `Watcher`."""

    async def watch(self, tally: Tally, deliveries_planned: int) -> None:
        """See `Watcher`."""


def midnight(until: datetime | None) -> datetime:
    """Return the end of the simulated time in UTC: the given time, or today 00:00."""
    if until is None:
        return datetime.combine(datetime.now(UTC), time.min, UTC)
    return until.replace(tzinfo=UTC)


def simulate(settings: Settings, run: Run, watcher: Watcher) -> dict[str, Any]:
    """Send all deliveries, and return the summary that `--json` prints.

    Raises:
        UserError: the options contradict each other, the URL is not a loopback address, the ledger
            can't be written, or no secret for the signatures is configured.
    """
    if run.pace.burst and run.pace.rate_per_s is None:
        raise UserError("--burst adds to a rate. Give --rate too.")
    url = run.url or f"http://{settings.host}:{settings.gateway_port}/webhooks/stripe"
    to = target(url, settings.signing_secrets(providers()["stripe"])[0])
    path = run.ledger or _new_ledger(settings, run.seed)
    watcher.begin(run, url, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as ledger:
            tally = Tally(ledger)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_send(run, to, tally, watcher))
            seconds = tally.seconds
    except OSError as error:
        raise UserError(
            f"The ledger {path} can't be written: {error.strerror}. "
            "Give another file with --ledger."
        ) from None
    return _summary(run, url, path, tally, seconds)


async def _send(run: Run, to: Target, tally: Tally, watcher: Watcher) -> None:
    await require_reachable(to)
    faults = run.faults
    extra = faults.duplicates + faults.second_endpoint + faults.altered
    extra += faults.malformed + faults.bad_signature - faults.withheld
    planned = round(run.events * (1 + extra))
    watching = asyncio.create_task(watcher.watch(tally, planned))
    try:
        await send(
            deliveries(run.seed, run.events, run.period, faults),
            to,
            tally,
            pace=run.pace,
            connections=run.connections,
            timeout_s=run.timeout_s,
        )
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _new_ledger(settings: Settings, seed: int) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return settings.var / "simulator" / f"ledger-{seed}-{stamp}.jsonl"


def _summary(run: Run, url: str, path: Path, tally: Tally, seconds: float) -> dict[str, Any]:
    return {
        "ok": tally.wrong_answer_count == 0 and not tally.gave_up,
        "seed": run.seed,
        "until": run.period.until.isoformat(),
        "days": run.period.days,
        "url": url,
        "ledger": str(path),
        "events": run.events,
        "deliveries": tally.deliveries,
        "gave_up": tally.gave_up,
        "attempts": tally.attempts,
        "answers": {str(status): count for status, count in sorted(tally.answers.items(), key=str)},
        "faults": dict(sorted(tally.faults.items())),
        "expected": tally.expected_destinations(),
        "unexpected": {
            "count": tally.wrong_answer_count,
            "examples": [wrong._asdict() for wrong in tally.wrong_answers],
        },
        "latency_ms": percentiles_ms(tally.latencies_ms),
        "seconds": round(seconds, 3),
        "rate_per_s": round(tally.attempts / max(seconds, 1e-9), 1),
    }
