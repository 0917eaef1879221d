"""Compares granian with uvicorn under the gateway's work: the measurement of decision 1.

Both serve the same raw ASGI endpoint on a running Kafka, in alternating runs. The output is the
best rate and the least CPU time of all runs, because other work on the machine only slows a run.
Run `pip install granian`, `payments up --only kafka`, then
`PYTHONPATH=tests python tests/bench/servers.py`.
"""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from bench.gateway import PEERS, SECRET, environment, free_port
from bench.load import Plan, drive
from payment_pipeline.settings import Settings, load

RUNS: Final = 8
SECONDS: Final = 2.0
GRANIAN: Final = (
    *("granian", "--interface", "asgi", "--loop", "uvloop", "--workers", "1"),
    *("--factory", "--host", "127.0.0.1", "--log-level", "critical", "bench.peers:RawAsgi"),
)


def measure(name: str, settings: Settings) -> tuple[float, float, float]:
    """Return requests/s, p99 in ms, and CPU seconds per 1,000 requests of one run."""
    port = free_port()
    with _served(name, settings, port) as server:
        plan = Plan(port, SECRET, seconds=SECONDS)
        began = _cpu_s(server)
        outcome = drive(plan)
        answered = outcome.requests_per_s * (plan.seconds + plan.warmup_s)
        return outcome.requests_per_s, outcome.p99_ms, (_cpu_s(server) - began) / answered * 1000


@contextmanager
def _served(name: str, settings: Settings, port: int) -> Iterator[psutil.Process]:
    commands = {
        "uvicorn": [sys.executable, str(PEERS), "raw_asgi", str(port)],
        "granian": [str(Path(sys.executable).with_name(GRANIAN[0])), "--port", str(port)],
    }
    command = [*commands[name], *(GRANIAN[1:] if name == "granian" else ())]
    path = {"PYTHONPATH": str(PEERS.parents[1])}
    env = {**environment(settings, settings.var, port, free_port()), **path}
    with subprocess.Popen(command, env=env) as process:
        try:
            _wait(port)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The server on port {port} is not ready after 30 s.")


def _cpu_s(server: psutil.Process) -> float:
    family = [server, *server.children(recursive=True)]
    return sum(times.user + times.system for times in (each.cpu_times() for each in family))


if __name__ == "__main__":
    runs: dict[str, list[tuple[float, float, float]]] = {"uvicorn": [], "granian": []}
    for _ in range(RUNS):
        for name, found in runs.items():
            found.append(measure(name, load()))
    for name, found in runs.items():
        rates, p99s_ms, cpus_s = zip(*found, strict=True)
        print(
            f"{name}: {max(rates):.0f} requests/s, p99 {min(p99s_ms):.0f} ms, "
            f"{min(cpus_s):.3f} CPU-seconds per 1,000 requests"
        )
