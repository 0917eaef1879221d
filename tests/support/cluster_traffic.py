"""Traffic and audits of the platform on Kubernetes."""

import json
import time
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final, Literal

from support.kubernetes import NAMESPACED, Cluster
from support.repository import ROOT

RATE: Final = 60
"""Events a second."""
CHUNK_EVENTS: Final = 1000
"""The load stops between two chunks. Each chunk is a market of its own, with its own ids."""
FIRST_RUN_S_MAX: Final = 420.0
"""The longest time until Dagster's first run has made the marts."""
IN_TOOLBOX: Final = ("kubectl", *NAMESPACED, "exec", "--stdin", "deploy/toolbox", "--")

Through = Literal["bronze", "facts"]


@dataclass
class Load:
    """Traffic from a pod, and the client's ledgers of it in that pod."""

    on: Cluster
    seed: int
    ledgers: list[str] = field(default_factory=list)

    def send(self, events: int) -> None:
        """Send a chunk of events.

        Raises:
            AssertionError: a delivery got a wrong answer, or no answer after all tries.
        """
        seed = self.seed + len(self.ledgers)
        self.ledgers.append(f"/tmp/ledger-{seed}.jsonl")
        words = ("--events", str(events), "--rate", str(RATE), "--seed", str(seed))
        script = (ROOT / "tests/support/send_in_cluster.py").read_text()
        to = (*IN_TOOLBOX, "python", "-", *words, "--ledger", self.ledgers[-1])
        self.on.run(*to, given=script)

    def audit(self, through: Through = "bronze") -> dict[str, Any]:
        """The audit of all events, compared with the ledgers of this load."""
        whole = f"/tmp/ledger-of-{self.seed}.jsonl"
        self.on.run(*IN_TOOLBOX, "sh", "-c", f"cat {' '.join(self.ledgers)} >{whole}")
        return audit(self.on, "--client-ledger", whole, through=through)


@contextmanager
def load(on: Cluster, seed: int) -> Iterator[Load]:
    """Send events from a pod until the block ends, and wait for the last answers.

    Raises:
        AssertionError: as `Load.send`.
    """
    stop, traffic = Event(), Load(on, seed)

    def send() -> None:
        while not stop.is_set():
            traffic.send(CHUNK_EVENTS)

    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(send)
        try:
            yield traffic
        finally:
            stop.set()
        sending.result()


def audit(
    on: Cluster, *more: str, through: Through = "bronze", wait_s: int = 240
) -> dict[str, Any]:
    """The audit in the cluster, which waits for events that are still on their way."""
    words = ("audit", "--through", through, "--json", "--wait", str(wait_s), *more)
    done = on.started("payments", "cluster", "exec", *words)  # it ends with 1 if it is not clean
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wait_for_the_marts(on: Cluster) -> None:
    """Until Dagster's first run has made the tables: without them nothing can be audited."""
    words = ("payments", "cluster", "exec", "audit", "--through", "facts", "--json", "--wait", "0")
    deadline = time.monotonic() + FIRST_RUN_S_MAX
    while (asked := on.started(*words)).returncode not in (0, 1) or not asked.stdout:
        assert time.monotonic() < deadline, asked.stderr
        time.sleep(3)


def signing_secret(on: Cluster) -> str:
    """The secret with which the gateway of the cluster verifies Stripe's webhooks."""
    path = "jsonpath={.data.webhook_secrets_stripe}"
    words = ("get", "secret", "payments-secrets", *NAMESPACED, "--output", path)
    return b64decode(on.run("kubectl", *words)).decode()
