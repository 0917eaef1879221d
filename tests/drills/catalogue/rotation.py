"""Drill 7: secrets rotated under load, and clocks at the edge of the tolerance."""

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
"""By then a changed file is what the gateway verifies with."""
SENDERS: Final = 8
EVENTS_MAX: Final = 50_000
RETIRED_TRIES: Final = 50
EDGE_TRIES: Final = 25
"""Of each of the four clocks, a round."""
PAUSE_S: Final = 0.01


def run(context: DrillContext) -> Findings:
    """Rotate once a round while everything is signed with the provider's newest secret."""
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
    findings.require(not rejected, f"{rejected} genuine webhooks were refused")
    findings.require(not retired[200], f"a retired secret was accepted {retired[200]} times")
    for edge, accepted in edges.items():
        wanted = EDGE_TRIES * context.rounds if "299" in edge else 0
        findings.require(accepted == wanted, f"{edge} was {accepted}, and not {wanted}")
    findings.control_failed = await _control(context, path, provider)


async def _edges(context: DrillContext, provider: "_Provider") -> dict[str, int]:
    """How many were accepted of those signed at each edge; whole seconds, as Stripe's are."""
    clocks: dict[str, Callable[[], int]] = {
        "accepted_at_minus_299_s": lambda: ceil(time()) - 299,
        "accepted_at_plus_299_s": lambda: floor(time()) + 299,
        "accepted_at_minus_301_s": lambda: floor(time()) - 301,
        # A second to spare: the request takes some time, which brings its stamp nearer.
        "accepted_at_plus_301_s": lambda: ceil(time()) + 301,
    }
    tries = EDGE_TRIES * context.rounds
    return {
        name: (await provider.try_with(provider.secret, tries, clock))[200]
        for name, clock in clocks.items()
    }


async def _control(context: DrillContext, path: Path, provider: "_Provider") -> bool:
    """A rotation without an overlap, and a gateway that never forgets a secret nor minds a clock.

    Without the first valid webhooks are refused; the other takes what must be refused.
    """
    old, new = provider.secret, _secret(context)
    _write(path, new)
    await asyncio.sleep(LIVE_S)
    answers = await provider.try_with(old, RETIRED_TRIES)
    context.progress(
        f"control, rotated without an overlap: {answers[401]} of {RETIRED_TRIES} refused"
    )
    module = "drills.controls.trusting_gateway"
    with running_control(context.settings, module, "gateway_port") as (port, _):
        await wait_until_ready(context.settings, port)
        trusting = _Provider(context, context.folder / "control.jsonl", old, port)
        retired = (await trusting.try_with(old, RETIRED_TRIES))[200]
        late = (await trusting.try_with(old, RETIRED_TRIES, lambda: int(time()) - 301))[200]
    context.progress(
        f"control, a gateway that asks for neither secret nor time: {retired} of {RETIRED_TRIES} "
        f"signed with a retired secret accepted, {late} of as many by a clock 301 s off"
    )
    return answers[401] > 0 and retired > 0 and late > 0


class _Provider:
    """Signs with its newest secret, and sends all the time."""

    def __init__(
        self, context: DrillContext, ledger: Path, secret: str, port: int | None = None
    ) -> None:
        """`port` is another gateway's than the settings'."""
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
        """No new events."""
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
        """How some events are answered that are signed with this secret by this clock."""
        sender = Sender(self._settings, self._ledger, self._port)
        answers: Counter[int | str] = Counter()
        for _ in range(tries):
            event = next(self._events)
            answers[(await sender.send(event, signature(event.body, secret, clock()))).status] += 1
        sender.close()
        return answers


@contextmanager
def _restored(context: DrillContext) -> Iterator[Path]:
    """The gateway's secrets as a file; at the end what it held is there again."""
    path = context.settings.secrets_dir / "webhook_secrets_stripe"
    before = path.read_text()
    try:
        yield path
    finally:
        _write(path, before)
        asyncio.run(asyncio.sleep(LIVE_S))


def _secret(context: DrillContext) -> str:
    """Another one, of the seed's: nobody else's events are signed with it."""
    return f"whsec_{context.rng.getrandbits(256):064x}"


def _write(path: Path, secrets: str) -> None:
    """At once, as whoever rotates should: a gateway that looks sees the old file or the new."""
    beside = path.with_suffix(".new")
    write_private(beside, secrets + "\n")
    beside.replace(path)


DRILL = Drill(
    number=7,
    promise="Secrets rotate under load, and clocks may be off by 299 s, at no request's cost.",
    needs=("gateway", "normalizer", "dispatcher", "worker"),
    run=run,
    full_rounds=10,
)
