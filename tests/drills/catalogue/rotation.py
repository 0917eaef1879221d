"""Drill 7: rotation of secrets under load, and clocks at the edge of the tolerance."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil, floor
from pathlib import Path
from time import time
from typing import Final

from drills.controls import running_control, wait_until_ready
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events
from drills.findings import Findings
from drills.sender import Sender, modelled_events
from local_stack.files import write_private
from payment_pipeline.gateway.live_secrets import WATCH_S
from payment_pipeline.simulator.signing import signature

LIVE_S: Final = WATCH_S + 0.5
"""After this time the gateway verifies with the changed file."""
SENDERS: Final = 8
EVENTS_MAX: Final = 50_000
RETIRED_TRIES: Final = 50
EDGE_TRIES: Final = 25
"""Tries per round with each of the four clocks."""
PAUSE_S: Final = 0.01


def run(context: DrillContext) -> Findings:
    """Rotate once per round while the provider signs with its newest secret."""
    findings = Findings()
    ledger = context.folder / "ledger.jsonl"
    with _restored(context) as path:
        provider = _Provider(context, ledger, path.read_text().strip())
        asyncio.run(_drill(context, path, provider, findings))
    account_for_events(context, ledger, findings)
    return findings


async def _drill(
    context: DrillContext, path: Path, provider: "_Provider", findings: Findings
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(provider.send_on())
        retired: Counter[int | str] = Counter()
        for _ in range(context.rounds):
            old, new = provider.secret, _secret(context)
            _write(path, f"{new},{old}")
            await asyncio.sleep(LIVE_S)
            provider.secret = new
            await asyncio.sleep(LIVE_S)
            _write(path, new)
            await asyncio.sleep(LIVE_S)
            retired += await provider.try_with(old, RETIRED_TRIES)
        edges = await _edges(context, provider)
        provider.stop()
    rejected = provider.answers.total() - provider.answers[200]
    findings.figures = {
        "rotations": context.rounds,
        "valid": provider.answers.total(),
        "valid_rejected": rejected,
        "retired_tried": retired.total(),
        "retired_accepted": retired[200],
        **edges,
    }
    findings.require(not rejected, f"{rejected} valid webhooks were rejected")
    findings.require(not retired[200], f"a retired secret was accepted {retired[200]} times")
    for edge, accepted in edges.items():
        wanted = EDGE_TRIES * context.rounds if "299" in edge else 0
        findings.require(accepted == wanted, f"{edge} was {accepted}, but should be {wanted}")
    findings.control_failed = await _control(context, path, provider)


async def _edges(context: DrillContext, provider: "_Provider") -> dict[str, int]:
    """Count the accepted webhooks at each edge of the tolerance, in whole seconds as at Stripe."""
    clocks: dict[str, Callable[[], int]] = {
        "accepted_at_minus_299_s": lambda: ceil(time()) - 299,
        "accepted_at_plus_299_s": lambda: floor(time()) + 299,
        "accepted_at_minus_301_s": lambda: floor(time()) - 301,
        # One second extra: the request takes time, which brings its timestamp closer.
        "accepted_at_plus_301_s": lambda: ceil(time()) + 301,
    }
    tries = EDGE_TRIES * context.rounds
    return {
        name: (await provider.try_with(provider.secret, tries, clock))[200]
        for name, clock in clocks.items()
    }


async def _control(context: DrillContext, path: Path, provider: "_Provider") -> bool:
    """Rotate without an overlap, and run a gateway that accepts every secret and every time.

    The first must reject valid webhooks. The second must accept webhooks that must be rejected.
    """
    old, new = provider.secret, _secret(context)
    _write(path, new)
    await asyncio.sleep(LIVE_S)
    answers = await provider.try_with(old, RETIRED_TRIES)
    context.progress(
        f"control, rotated without an overlap: {answers[401]} of {RETIRED_TRIES} rejected"
    )
    module = "drills.controls.trusting_gateway"
    with running_control(context.settings, module, "gateway_port") as (port, _, probes):
        await wait_until_ready(context.settings, probes)
        trusting = _Provider(context, context.folder / "control.jsonl", old, port)
        retired = (await trusting.try_with(old, RETIRED_TRIES))[200]
        late = (await trusting.try_with(old, RETIRED_TRIES, lambda: int(time()) - 301))[200]
    context.progress(
        f"control, a gateway that checks neither secret nor time: accepted {retired} of "
        f"{RETIRED_TRIES} with a retired secret, {late} of {RETIRED_TRIES} with a clock 301 s off"
    )
    return answers[401] > 0 and retired > 0 and late > 0


class _Provider:
    """A provider that sends constantly and signs with its newest secret."""

    def __init__(
        self, context: DrillContext, ledger: Path, secret: str, port: int | None = None
    ) -> None:
        """Prepare a provider; `port` replaces the gateway port of the settings."""
        self.secret = secret
        self._port = port
        self.answers: Counter[int | str] = Counter()
        self._settings = context.settings
        self._ledger = ledger
        self._events = modelled_events(context, EVENTS_MAX)
        self._stopped = False

    async def send_on(self) -> None:
        """Send until stopped."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send())

    def stop(self) -> None:
        """Send no new events."""
        self._stopped = True

    async def _send(self) -> None:
        sender = Sender(self._settings, self._ledger, self._port)
        while not self._stopped:
            event = next(self._events)
            header = signature(event.body, self.secret, int(time()))
            self.answers[(await sender.send(event, header)).status] += 1
            await asyncio.sleep(PAUSE_S)
        sender.close()

    async def try_with(
        self, secret: str, tries: int, clock: Callable[[], int] = lambda: int(time())
    ) -> Counter[int | str]:
        """Send events signed with this secret and clock, and count the answers by status."""
        sender = Sender(self._settings, self._ledger, self._port)
        answers: Counter[int | str] = Counter()
        for _ in range(tries):
            event = next(self._events)
            answers[(await sender.send(event, signature(event.body, secret, clock()))).status] += 1
        sender.close()
        return answers


@contextmanager
def _restored(context: DrillContext) -> Iterator[Path]:
    """Yield the file with the gateway's secrets, and restore its content at the end."""
    path = context.settings.secrets_dir / "webhook_secrets_stripe"
    before = path.read_text()
    try:
        yield path
    finally:
        _write(path, before)
        asyncio.run(asyncio.sleep(LIVE_S))


def _secret(context: DrillContext) -> str:
    """Make a new secret from the seed."""
    return f"whsec_{context.rng.getrandbits(256):064x}"


def _write(path: Path, secrets: str) -> None:
    """Replace the file atomically, so that the gateway reads either the old file or the new one."""
    new = path.with_suffix(".new")
    write_private(new, secrets + "\n")
    new.replace(path)


DRILL = Drill(
    number=7,
    promise="Rotations under load and clocks up to 299 s off do not cost a valid request.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=10,
)
