"""A run of the simulator on the terminal: live while it sends, and a table at its end."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from payment_pipeline.simulator.run import Run
from payment_pipeline.simulator.tally import Tally, percentiles_ms

REFRESH_S: Final = 0.25


class Progress:
    """Says what a run will do, and shows how far it is."""

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
        """Show the counts until cancelled; nothing where the output is no terminal."""
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
    """The whole run in one table."""
    table = Table(title="Simulated Stripe traffic", show_header=False, title_justify="left")
    table.add_row("genuine events", f"{summary['events']:,}")
    table.add_row("deliveries", f"{summary['deliveries']:,}")
    table.add_row("of these", _answers(summary["faults"]) or "no faults")
    table.add_row("attempts", f"{summary['attempts']:,}")
    table.add_row("answers", _answers(summary["answers"]))
    table.add_row("rate", f"{summary['rate_per_s']:,.0f}/s over {summary['seconds']:,.1f} s")
    table.add_row("latency", _latency(summary["latency_ms"]))
    table.add_row("should end in", _answers(summary["expected"]))
    table.add_row("ledger", summary["ledger"])
    console.print(table)
    for surprise in summary["unexpected"]["examples"]:
        fault = " ".join(filter(None, (surprise["fault"], surprise["detail"]))) or "plain"
        console.print(
            f"{surprise['event_id']} ({surprise['event_type']}, {fault}): answered "
            f"{surprise['answer']}, expected {surprise['expected']}",
            style="red",
        )
