"""A run of the simulator on the terminal: live while it sends, and a table at its end."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from payment_pipeline.simulator.answer_tally import Tally, percentiles_ms
from payment_pipeline.simulator.simulation_run import Run

from .terminal import facts

REFRESH_S: Final = 0.25


class Progress:
    """Prints the settings of a run, then shows its progress."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, run: Run, url: str, ledger: Path) -> None:
        """Print the seed, the period, the gateway and the ledger."""
        self._console.print(
            f"seed {run.seed}, {run.period.days} days until {run.period.until.isoformat()}\n"
            f"to {url}\nledger {ledger}",
            highlight=False,
            soft_wrap=True,
        )

    async def watch(self, tally: Tally, deliveries_planned: int) -> None:
        """Show the counts until cancelled; show nothing if the output is not a terminal."""
        if not self._console.is_terminal:
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(_now(tally, deliveries_planned), refresh=True)
                await asyncio.sleep(REFRESH_S)


def _now(tally: Tally, planned: int) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_row(
        f"[bold]{tally.deliveries:,}[/] of about {planned:,} delivered",
        f"{tally.attempts / max(tally.seconds, 1e-9):,.0f}/s",
        _latency(percentiles_ms(tally.recent_ms)),
        _answers(tally.answers),
    )
    return table


def _latency(percentiles: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:,.1f} ms" for name, value in percentiles.items())


def _answers(answers: Mapping[Any, int]) -> str:
    ordered = sorted(answers.items(), key=lambda item: str(item[0]))
    return "  ".join(f"{status}: {count:,}" for status, count in ordered)


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Print the figures of a run, and the deliveries that got a wrong answer."""
    console.print("Simulated Stripe traffic", style="bold")
    console.print(figures(summary))
    for delivery in summary["unexpected"]["examples"]:
        fault = " ".join(filter(None, (delivery["fault"], delivery["detail"]))) or "no fault"
        console.print(
            f"{delivery['event_id']} ({delivery['event_type']}, {fault}): answered "
            f"{delivery['answer']}, expected {delivery['expected']}",
            style="red",
            soft_wrap=True,
        )


def figures(summary: Mapping[str, Any]) -> Table:
    """The figures of a run, one a line."""
    return facts(
        {
            "genuine events": f"{summary['events']:,}",
            "deliveries": f"{summary['deliveries']:,}",
            "with faults": _answers(summary["faults"]) or "none",
            "attempts": f"{summary['attempts']:,}",
            "answers": _answers(summary["answers"]),
            "rate": f"{summary['rate_per_s']:,.0f}/s over {summary['seconds']:,.1f} s",
            "latency": _latency(summary["latency_ms"]),
            "expected in": _answers(summary["expected"]),
            "ledger": summary["ledger"],
        }
    )
