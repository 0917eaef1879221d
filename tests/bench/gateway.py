"""Measures the gateway against a bare FastAPI route and a raw ASGI endpoint on the same Kafka.

The servers take turns. Rates are compared within one round, because the speed of a shared machine
changes within seconds; the median of these ratios counts. The first round warms up the broker and
does not count.

Needs only Kafka. Other stages would share the processor, so `make bench ARGS=gateway` runs it
without them.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from bench.figure import Figure
from bench.load import Outcome, Plan, drive
from payment_pipeline.adapters import kafka
from payment_pipeline.providers import topics
from payment_pipeline.settings import Settings

ROUNDS: Final = 7
SECONDS: Final = 2.0
RATIO_TARGET: Final = 0.7
P99_MS_TARGET: Final = 50.0
START_S: Final = 30
SECRET: Final = "whsec_of_the_benchmark"
PEERS: Final = Path(__file__).with_name("peers.py")

GATEWAY, BARE, RAW, HOT = "gateway", "bare_fastapi", "raw_asgi", "hot"

Round: TypeAlias = Mapping[str, Outcome]
"""The outcome of each server in one round."""


def gateway_figures(settings: Settings) -> list[Figure]:
    """Measure on a running Kafka, in about 90 seconds.

    Raises:
        RuntimeError: a server gave an answer other than 200.
    """
    asyncio.run(kafka.ensure_topics(settings, topics()))
    with tempfile.TemporaryDirectory() as var, ExitStack() as running:
        ports = {
            name: running.enter_context(_server(name, settings, Path(var)))
            for name in (GATEWAY, BARE, RAW)
        }
        spread = {name: Plan(port, SECRET, seconds=SECONDS) for name, port in ports.items()}
        plans = {**spread, HOT: Plan(ports[GATEWAY], SECRET, seconds=SECONDS, keys=1)}
        rounds = [
            {name: _all_accepted(name, drive(plan)) for name, plan in plans.items()}
            for _ in range(ROUNDS + 1)
        ][1:]
    bare = "bare FastAPI route that reads the same body and answers 200"
    raw = "raw ASGI endpoint that verifies and produces the same way"
    return [
        _throughput("gateway, spread keys", rounds, GATEWAY, BARE, bare),
        _throughput("gateway, one hot key", rounds, HOT, BARE, bare),
        _throughput("gateway, spread keys, against raw ASGI", rounds, GATEWAY, RAW, raw),
        _p99("gateway p99, spread keys", rounds, GATEWAY),
        _p99("gateway p99, one hot key", rounds, HOT),
    ]


def _throughput(name: str, rounds: Sequence[Round], ours: str, peer: str, reference: str) -> Figure:
    ratio = median(each[ours].requests_per_s / each[peer].requests_per_s for each in rounds)
    return Figure(
        name=name,
        value=round(median(each[ours].requests_per_s for each in rounds)),
        unit="requests/s",
        reference=reference,
        reference_value=round(median(each[peer].requests_per_s for each in rounds)),
        ratio=round(ratio, 3),
        target=RATIO_TARGET,
        met=ratio >= RATIO_TARGET,
    )


def _p99(name: str, rounds: Sequence[Round], ours: str) -> Figure:
    value_ms = median(each[ours].p99_ms for each in rounds)
    return Figure(
        name=name,
        value=round(value_ms, 1),
        unit="ms",
        reference="limit, at 64 connections",
        reference_value=P99_MS_TARGET,
        ratio=round(value_ms / P99_MS_TARGET, 3),
        target=1,
        met=value_ms < P99_MS_TARGET,
    )


def _all_accepted(name: str, outcome: Outcome) -> Outcome:
    if set(outcome.by_status) != {"200"}:
        raise RuntimeError(
            f"{name} must answer 200 to all requests, but answered {outcome.by_status}."
        )
    return outcome


@contextmanager
def _server(name: str, settings: Settings, var: Path) -> Iterator[int]:
    """Start one server in a separate process, and yield its port once the server is ready."""
    port, probes = free_port(), free_port()
    command = [sys.executable, str(PEERS), name, str(port)]
    if name == GATEWAY:
        command = [sys.executable, "-m", "payment_pipeline.gateway"]
    with subprocess.Popen(command, env=environment(settings, var, port, probes)) as process:
        try:
            ready = f"{probes}/readyz" if name == GATEWAY else f"{port}/livez"
            _wait(f"http://127.0.0.1:{ready}", process)
            yield port
        finally:
            process.terminate()


def free_port() -> int:
    """Return a loopback port on which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment(settings: Settings, var: Path, port: int, probes: int) -> Mapping[str, str]:
    """Return the environment of a server: Kafka's address, ports, and the secret of the load."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENTS_")}
    return {
        **ours,
        "BENCH_SECRET": SECRET,
        "PAYMENTS_VAR": str(var),
        "PAYMENTS_GATEWAY_PORT": str(port),
        "PAYMENTS_GATEWAY_METRICS_PORT": str(probes),
        "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS": settings.kafka,
        "PAYMENTS_WEBHOOK_SECRETS_STRIPE": SECRET,
        "PAYMENTS_LOG_LEVEL": "WARNING",
    }


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers. A 404 or 405 from a peer also shows that it runs."""
    for _ in range(START_S * 10):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return
        except OSError:
            if (code := process.poll()) is not None:
                raise RuntimeError(f"The server at {url} ended with exit code {code}.") from None
        time.sleep(0.1)
    raise RuntimeError(f"The server at {url} is not ready after {START_S} s.")
