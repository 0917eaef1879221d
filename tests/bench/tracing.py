"""Measures the CPU cost of spans per event: no spans, spans of 1 event in 100, and of every event.

Each variant runs on a separate pipeline. Its spans go to a collector that discards them; the time
of the collector does not count. The variants alternate, and the least CPU time of each counts,
because other work on the machine only adds time.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from bench.figure import Figure
from bench.whole_way import costs, simulate
from local_stack.stack import down
from payment_operations.stack_start import up
from payment_pipeline.settings import Settings
from support import commands

EVENTS: Final = 20_000
ROUNDS: Final = 2
STAGES: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")
SAMPLED: Final = 0.01
SAMPLED_TARGET: Final = 1.05
EVERY_TARGET: Final = 2.5


def tracing_figures(settings: Settings) -> list[Figure]:
    """Start and stop the pipeline for each run, in about five minutes."""
    with discarding_collector() as endpoint:
        variants: dict[str, dict[str, object]] = {
            "off": {},
            "sampled": {"otlp_endpoint": endpoint, "trace_ratio": SAMPLED},
            "every": {"otlp_endpoint": endpoint, "trace_ratio": 1.0},
        }
        least = dict.fromkeys(variants, float("inf"))
        for number in range(ROUNDS):
            for name, changes in variants.items():
                spent_us = cpu_us(settings.model_copy(update=changes), f"{name}-{number}")
                least[name] = min(least[name], spent_us)
    return [
        _figure("spans of 1 event in 100", least["sampled"], least["off"], SAMPLED_TARGET),
        _figure("spans of every event", least["every"], least["off"], EVERY_TARGET),
    ]


def cpu_us(settings: Settings, name: str) -> float:
    """Return the CPU time of the five stages per event, in microseconds, on a new pipeline."""
    own = settings.model_copy(update={"var": settings.var / name})
    own.var.mkdir(mode=0o700)
    _share_models(settings.var, own.var)
    ledgers = settings.var / f"{name}-ledgers"
    ledgers.mkdir()
    up(own)
    try:
        simulate(own, ledgers / "warm.jsonl", events=2000, seed=1)
        commands.audit(own, ledgers / "warm.jsonl")
        with costs(own) as spent:
            simulate(own, ledgers / "full.jsonl", events=EVENTS, seed=2)
            commands.audit(own, ledgers / "full.jsonl", "--wait", "180")
    finally:
        down(own)
    return sum(spent[stage].cpu_s for stage in STAGES) / EVENTS * 1e6


@contextmanager
def discarding_collector() -> Iterator[str]:
    """Yield the base URL of an OTLP collector over HTTP that discards everything."""

    class Discard(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Discard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _share_models(parent: Path, own: Path) -> None:
    """Copy the models that an earlier run has trained."""
    for trained in [*parent.glob("models"), *parent.glob("*/models")][:1]:
        shutil.copytree(trained, own / "models", dirs_exist_ok=True)


def _figure(name: str, value_us: float, off_us: float, target: float) -> Figure:
    ratio = value_us / off_us
    return Figure(
        name=name,
        value=round(value_us),
        unit="µs of CPU an event",
        reference="tracing off",
        reference_value=round(off_us),
        ratio=round(ratio, 3),
        target=target,
        met=ratio <= target,
    )
