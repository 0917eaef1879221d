"""Drill 6: hostile HTTP clients during valid traffic."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import orjson
import psutil
import psycopg

from drills import hostile_client
from drills.controls import running_control
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events
from drills.findings import Findings
from drills.sender import Answered, Sender, modelled_events
from payment_pipeline.simulator.world import Event
from support import processes
from support.repository import importing_tests

BASELINE_S: Final = 5.0
HOSTILE_S_A_ROUND: Final = 8.0
SENDERS: Final = 4
PAUSE_S: Final = 0.02
EVENTS_MAX: Final = 200_000
SUCCESS_MIN: Final = 0.999
SLOWER_MAX: Final = 2.0
"""Limit for the ratio of the 99th percentile with attackers to the one without."""
P99_S_UNNOTICED: Final = 0.25
"""A 99th percentile within this time passes at any ratio. On two cores the attackers and the valid
clients compete for the same CPU, so a ratio of small times says little."""
GROWTH_MIB_MAX: Final = 64
MIB: Final = 1024**2
CONTROL_S_MAX: Final = 60.0
"""On a busy machine the attackers send slowly."""
POLL_S: Final = 0.05
INJECTION: Final = "'); DROP TABLE payment_events; --"


def run(context: DrillContext) -> Findings:
    """Send valid traffic, first without attackers and then with them."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    settings = context.settings
    gateway = psutil.Process(processes.pid_of(settings, "gateway"))
    usual = asyncio.run(_traffic(context, ledger, BASELINE_S, gateway)).answered
    with _attackers(context, settings.gateway_port):
        seconds = HOSTILE_S_A_ROUND * context.rounds
        attacked = asyncio.run(_traffic(context, ledger, seconds, gateway))
    _judge(usual, attacked, findings)
    account_for_events(context, ledger, findings)
    with psycopg.connect(settings.dsn) as connection:
        kept = connection.execute("SELECT to_regclass('payment_events')").fetchone()
    findings.require(kept != (None,), "SQL in an event's metadata was executed")
    findings.require(
        processes.pid_of(settings, "gateway") == gateway.pid, "the gateway was restarted"
    )
    findings.control_failed = _control(context)
    return findings


def _judge(usual: list[Answered], attacked: "_Seen", findings: Findings) -> None:
    usual_s, hostile_s = _p99_s(usual), _p99_s(attacked.answered)
    success = sum(each.status == 200 for each in attacked.answered) / len(attacked.answered)
    findings.figures = {
        "valid_beside_attackers": len(attacked.answered),
        "success": round(success, 5),
        "p99_usual_ms": round(usual_s * 1000, 1),
        "p99_beside_attackers_ms": round(hostile_s * 1000, 1),
        "gateway_growth_mib": round(attacked.growth_mib),
    }
    findings.require(
        success >= SUCCESS_MIN, f"only {success:.2%} of the valid traffic was accepted"
    )
    findings.require_in_time(
        hostile_s <= max(SLOWER_MAX * usual_s, P99_S_UNNOTICED),
        f"the 99th percentile went from {usual_s:.3f} s to {hostile_s:.3f} s",
    )
    findings.require(
        attacked.growth_mib <= GROWTH_MIB_MAX, "the gateway's memory grew past its bound"
    )


class _Seen:
    """The answers to the valid clients, and the growth of the gateway's memory."""

    def __init__(self) -> None:
        self.answered: list[Answered] = []
        self.growth_mib = 0.0


async def _traffic(
    context: DrillContext, ledger: Path, seconds: float, gateway: psutil.Process
) -> _Seen:
    seen, until = _Seen(), monotonic() + seconds
    first = gateway.memory_info().rss
    events = modelled_events(context, EVENTS_MAX)

    async def send() -> None:
        sender = Sender(context.settings, ledger)
        for event in events:
            body = _with_sql(event) if context.rng.random() < 0.1 else event.body
            seen.answered.append(await sender.send(event, body=body))
            seen.growth_mib = max(seen.growth_mib, (gateway.memory_info().rss - first) / MIB)
            if monotonic() > until:
                break
            await asyncio.sleep(PAUSE_S)
        sender.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(send())
    return seen


def _with_sql(event: Event) -> bytes:
    parsed = orjson.loads(event.body)
    parsed["data"]["object"]["metadata"] = {INJECTION: INJECTION}
    return orjson.dumps(parsed)


@contextmanager
def _attackers(context: DrillContext, port: int) -> Iterator[None]:
    """Run hostile clients in a separate process until the block ends."""
    command = [
        *(sys.executable, "-m", hostile_client.__name__),
        *(context.settings.host, str(port), str(context.rng.randrange(2**31))),
    ]
    process = subprocess.Popen(command, env={**os.environ, **importing_tests()})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _control(context: DrillContext) -> bool:
    """Attack a gateway on plain uvicorn without a body limit: its memory must grow."""
    module = "drills.controls.unbounded_gateway"
    without = {"body_bytes_max": 2**40, "gateway_bytes_max": 2**40}
    with running_control(context.settings, module, "gateway_port", **without) as (port, gateway, _):
        memory = psutil.Process(gateway.pid).memory_info
        first, growth_mib = memory().rss, 0.0
        with _attackers(context, port):
            until = monotonic() + CONTROL_S_MAX
            while growth_mib <= GROWTH_MIB_MAX and monotonic() < until:
                sleep(POLL_S)
                growth_mib = max(growth_mib, (memory().rss - first) / MIB)
    context.progress(f"control, a gateway without limits: it grew by {growth_mib:.0f} MiB")
    return growth_mib > GROWTH_MIB_MAX


def _p99_s(answered: list[Answered]) -> float:
    took = sorted(each.took_s for each in answered)
    return took[int(0.99 * (len(took) - 1))]


DRILL = Drill(
    number=6,
    promise="Endless bodies, gzip bombs, slow clients and bad heads do not harm valid traffic.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=75,
)
