"""A run of the simulator from the command line: progress, summary, exit code."""

import json
import sys

from rich.console import Console

from payment_pipeline.settings import Settings
from payment_pipeline.simulator.simulation_run import Run, simulate

from .simulation_text import Progress, show


def main(settings: Settings, run: Run, *, as_json: bool) -> int:
    """Send the traffic of a run, print its summary, and return the exit code.

    Raises:
        UserError: as `simulate`.
    """
    stderr = Console(stderr=True)
    summary = simulate(settings, run, Progress(stderr))
    if as_json:
        sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    else:
        show(summary, Console())
    if summary["gave_up"]:
        stderr.print(
            "Stopped: a delivery got no final answer in all its attempts. See `payments status`."
        )
    elif not summary["ok"]:
        wrong, sent = summary["unexpected"]["count"], summary["deliveries"]
        stderr.print(f"{wrong:,} of {sent:,} deliveries got a wrong answer.")
    return 0 if summary["ok"] else 1
