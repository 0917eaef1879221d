"""A run of the simulator on the terminal: live while it sends, and a table at its end."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from payment_pipeline.simulator.answer_tally import Tally, percentiles_ms
from payment_pipeline.simulator.simulation_run import Run

from .terminal import Cell, Grid, Screen, facts, styled

REFRESH_S: Final = 0.25


class Progress:
    """Prints the settings of a run, then shows its progress."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def begin(self, run: Run, url: str, ledger: Path) -> None:
        """Print the seed, the period, the gateway and the ledger."""
        until = run.period.until.isoformat()
        self._screen.line(f"seed {run.seed}, {run.period.days} days until {until}")
        self._screen.line(f"to {url}")
        self._screen.line(f"ledger {ledger}")

    async def watch(self, tally: Tally, deliveries_planned: int) -> None:
        """Show the counts until cancelled; show nothing if the output is not a terminal."""
        if not self._screen.is_terminal:
            return
        with self._screen.live() as update:
            while True:
                update(_now(tally, deliveries_planned))
                await asyncio.sleep(REFRESH_S)


def _now(tally: Tally, planned: int) -> list[Cell]:
    return [
        styled(f"{tally.deliveries:,} of about {planned:,} delivered", "bold"),
        f"{tally.attempts / max(tally.seconds, 1e-9):,.0f}/s",
        _latency(percentiles_ms(tally.recent_ms)),
        _answers(tally.answers),
    ]


def _latency(percentiles: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:,.1f} ms" for name, value in percentiles.items())


def _answers(answers: Mapping[Any, int]) -> str:
    ordered = sorted(answers.items(), key=lambda item: str(item[0]))
    return "  ".join(f"{status}: {count:,}" for status, count in ordered)


def show(summary: Mapping[str, Any], screen: Screen) -> None:
    """Print the figures of a run, and the deliveries that got a wrong answer."""
    screen.line("Simulated Stripe traffic", style="bold")
    screen.grid(figures(summary))
    for delivery in summary["unexpected"]["examples"]:
        fault = " ".join(filter(None, (delivery["fault"], delivery["detail"]))) or "no fault"
        screen.line(
            f"{delivery['event_id']} ({delivery['event_type']}, {fault}): answered "
            f"{delivery['answer']}, expected {delivery['expected']}",
            style="red",
        )


def figures(summary: Mapping[str, Any]) -> Grid:
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
