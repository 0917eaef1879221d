"""A run of the simulator from the command line: progress, summary, exit code."""

from payment_pipeline.settings import Settings
from payment_pipeline.simulator.simulation_run import Run, simulate

from .simulation_text import Progress, show
from .terminal import Screen


def main(settings: Settings, run: Run, *, as_json: bool) -> int:
    """Send the traffic of a run, print its summary, and return the exit code.

    Raises:
        UserError: as `simulate`.
    """
    stderr = Screen(stderr=True)
    summary = simulate(settings, run, Progress(stderr))
    if as_json:
        Screen().json(summary, indent=2)
    else:
        show(summary, Screen())
    if summary["gave_up"]:
        stderr.line(
            "Stopped: a delivery got no final answer in all its attempts. See `payments status`."
        )
    elif not summary["ok"]:
        wrong, sent = summary["unexpected"]["count"], summary["deliveries"]
        stderr.line(f"{wrong:,} of {sent:,} deliveries got a wrong answer.")
    return 0 if summary["ok"] else 1
