"""How fast is the gateway, against a bare FastAPI route and against raw ASGI on the same Kafka?

Kafka is all it needs; run it with no stage up, or they share the processor:
`make bench ARGS=gateway` does so.
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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from bench.figure import Figure
from bench.load import Outcome, Plan, drive
from payment_pipeline.adapters import kafka
from payment_pipeline.providers import topics
from payment_pipeline.settings import Settings

RUNS: Final = 3
SECONDS: Final = 2.5
RATIO_TARGET: Final = 0.7
P99_MS_TARGET: Final = 50.0
START_S: Final = 30
SECRET: Final = "whsec_bench"
PEERS: Final = Path(__file__).with_name("peers.py")

GATEWAY, BARE, RAW = "gateway", "bare_fastapi", "raw_asgi"


def gateway_figures(settings: Settings) -> list[Figure]:
    """Measure on a running Kafka; takes about a minute. Runs alternate; medians are compared.

    Raises:
        RuntimeError: something but 200 was answered.
    """
    asyncio.run(kafka.ensure_topics(settings, topics()))
    with tempfile.TemporaryDirectory() as var, ExitStack() as running:
        ports = {
            name: running.enter_context(_server(name, settings, Path(var)))
            for name in (GATEWAY, BARE, RAW)
        }
        spread = {name: Plan(port, SECRET, seconds=SECONDS) for name, port in ports.items()}
        plans = {**spread, "hot": Plan(ports[GATEWAY], SECRET, seconds=SECONDS, keys=1)}
        outcomes: dict[str, list[Outcome]] = {name: [] for name in plans}
        for _ in range(RUNS):
            for name, plan in plans.items():
                outcomes[name].append(_all_accepted(name, drive(plan)))
    rate = {name: median(each.requests_per_s for each in found) for name, found in outcomes.items()}
    p99_ms = {name: median(each.p99_ms for each in found) for name, found in outcomes.items()}
    bare = "bare FastAPI route that reads the same body and answers 200"
    raw = "raw ASGI endpoint that verifies and produces the same way"
    return [
        _throughput("gateway, spread keys", rate[GATEWAY], bare, rate[BARE]),
        _throughput("gateway, one hot key", rate["hot"], bare, rate[BARE]),
        _throughput("gateway, spread keys, against raw ASGI", rate[GATEWAY], raw, rate[RAW]),
        _p99("gateway p99, spread keys", p99_ms[GATEWAY]),
        _p99("gateway p99, one hot key", p99_ms["hot"]),
    ]


def _throughput(name: str, value: float, reference: str, reference_value: float) -> Figure:
    ratio = value / reference_value
    return Figure(
        name=name,
        value=round(value),
        unit="requests/s",
        reference=reference,
        reference_value=round(reference_value),
        ratio=round(ratio, 3),
        target=RATIO_TARGET,
        met=ratio >= RATIO_TARGET,
    )


def _p99(name: str, value_ms: float) -> Figure:
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
        raise RuntimeError(f"{name} answered {outcome.by_status}")
    return outcome


@contextmanager
def _server(name: str, settings: Settings, var: Path) -> Iterator[int]:
    """One of the servers in a process of its own, ready on the port that is yielded."""
    port = free_port()
    command = [sys.executable, str(PEERS), name, str(port)]
    if name == GATEWAY:
        command = [sys.executable, "-m", "payment_pipeline.gateway"]
    with subprocess.Popen(command, env=environment(settings, var, port)) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/{'readyz' if name == GATEWAY else 'livez'}", process)
            yield port
        finally:
            process.terminate()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment(settings: Settings, var: Path, port: int) -> Mapping[str, str]:
    """A server's environment: this Kafka, its own port, and the secret that the load signs with."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENTS_")}
    return {
        **ours,
        "BENCH_SECRET": SECRET,
        "PAYMENTS_VAR": str(var),
        "PAYMENTS_GATEWAY_PORT": str(port),
        "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS": settings.kafka,
        "PAYMENTS_WEBHOOK_SECRETS_STRIPE": SECRET,
        "PAYMENTS_LOG_LEVEL": "WARNING",
    }


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Until the server is there; a peer answers 404 or 405, which is as good."""
    for _ in range(START_S * 10):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return
        except OSError:
            if process.poll() is not None:
                break
        time.sleep(0.1)
    raise RuntimeError(f"{url} is not ready")
