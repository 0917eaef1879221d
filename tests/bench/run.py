"""`make bench`: runs the benchmarks, and prints each figure with its peer or limit.

Each part has an isolated stack with only the components that it needs, so earlier parts do not slow
it. The result is `var/bench.json`, a list of `Figure`s. `make bench ARGS=normalizer` measures one
part.
"""

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.books import books_figures
from bench.bronze import bronze_figures
from bench.figure import Figure
from bench.gateway import gateway_figures
from bench.inference import inference_figures
from bench.lake import lake_figures
from bench.lake_freshness import freshness_figures
from bench.lake_growth import growth_figures
from bench.normalizer import normalizer_figures
from bench.orchestrator import orchestrator_figures
from bench.tracing import tracing_figures
from bench.whole_way import whole_way_figures
from conftest import stack_settings
from local_stack.component import LAKEHOUSE
from local_stack.stack import down
from payment_operations.stack_start import up
from payment_pipeline.settings import Settings
from support.repository import ROOT
from support.wide_console import wide_console

WRITTEN: Final = ROOT / "var" / "bench.json"
console = Console(stderr=True)


class Part(NamedTuple):
    """One benchmark and the components it needs."""

    figures: Callable[[Settings], list[Figure]]
    needs: tuple[str, ...] | None = ()
    """None means the whole pipeline."""
    groups: tuple[str, ...] = ()
    """Groups of components besides the whole pipeline."""


PARTS: Final = {
    "gateway": Part(gateway_figures, ("kafka",)),
    "normalizer": Part(normalizer_figures, ("kafka",)),
    "bronze": Part(bronze_figures, ("postgres",)),
    "books": Part(books_figures, ("postgres",)),
    "inference": Part(lambda _settings: inference_figures()),
    "orchestrator": Part(orchestrator_figures, ("inference", "dispatcher", "worker")),
    "whole_way": Part(whole_way_figures, None),
    "tracing": Part(tracing_figures),
    "lake": Part(lake_figures, ("postgres", "seaweedfs")),
    "growth": Part(growth_figures, ("postgres", "seaweedfs", "trino")),
    "freshness": Part(freshness_figures, None, (LAKEHOUSE,)),
}


def main(names: list[str]) -> int:
    """Measure the named parts, or all parts.

    Returns:
        The exit code: 0, 1 when a part could not be measured, 2 for an unknown name.
    """
    if unknown := set(names) - PARTS.keys():
        console.print(
            f"Unknown part: {', '.join(sorted(unknown))}. The parts are {', '.join(PARTS)}."
        )
        return 2
    WRITTEN.parent.mkdir(mode=0o700, exist_ok=True)
    # After SIGTERM the stack stops before this process exits, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures: list[dict[str, object]] = []
    failures = 0
    try:
        with tempfile.TemporaryDirectory(prefix="payments-bench-") as folder:
            for name in names or PARTS:
                console.print(f"measuring {name} …")
                try:
                    figures += map(asdict, measure(PARTS[name], Path(folder) / name))
                except Exception as error:  # noqa: BLE001 - the other parts are still measured
                    failures += 1
                    console.print(f"{name} was not measured: {str(error) or type(error).__name__}")
                WRITTEN.write_text(json.dumps(figures, indent=2) + "\n")
    finally:  # an interrupt must not hide the figures measured so far
        wide_console().print(table(figures))
    console.print(f"written to {WRITTEN}")
    return 1 if failures else 0


def measure(part: Part, var: Path) -> list[Figure]:
    """Measure one part on an isolated stack, with models that an earlier part has trained."""
    var.mkdir(mode=0o700)
    for trained in var.parent.glob("*/models"):
        shutil.copytree(trained, var / "models")
        break
    settings = stack_settings(var)
    try:
        if part.needs != ():
            up(settings, only=part.needs or (), groups=part.groups)
        return part.figures(settings)
    finally:
        down(settings)


def table(figures: list[dict[str, object]]) -> Table:
    """Return the figures as a table for the terminal."""
    shown = Table("figure", "value", "unit", "against", "its value", "ratio", "target", "met")
    for figure in figures:
        value, reference, ratio = (
            f"{figure[key]:,.3g}" if float(str(figure[key])) < 100 else f"{figure[key]:,.0f}"
            for key in ("value", "reference_value", "ratio")
        )
        shown.add_row(
            str(figure["name"]),
            value,
            str(figure["unit"]),
            str(figure["reference"]),
            reference,
            ratio,
            str(figure["target"]),
            "yes" if figure["met"] else "NO",
        )
    return shown


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
