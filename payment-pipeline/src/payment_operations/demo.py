"""The demo: a few thousand payments from an empty machine to dashboards.

It runs the other commands one after another: up, simulate, a Dagster run, audit. Each demo leaves a
client ledger. The number of these ledgers gives the next seed, so each demo adds new payments.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from local_stack import dagster
from local_stack.component import DASHBOARDS, LAKEHOUSE
from payment_pipeline.adapters import trino
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.simulation_run import Faults, Run

from . import audit_run, simulation, stack_text
from .terminal import Cell, Screen, facts, styled

SEED_BASE: Final = 100
"""Lower seeds are for an operator's own simulations: one seed is one set of event ids."""
GROUPS: Final = (LAKEHOUSE, DASHBOARDS)
JOB: Final = "micro_batch"
FAULTS: Final = Faults(duplicates=0.02, malformed=0.005)
"""A few faults, so that the dashboard of the pipeline's health shows dead letters."""
SETTLE_S: Final = 300.0
LOAD_S_MAX: Final = 1200.0
POLL_S: Final = 1.0

FIGURES: Final = {
    "events in the facts": "SELECT count(*) FROM marts.fct_payment_events",
    "payments": "SELECT count(*) FROM marts.fct_payments",
    "refunds": "SELECT count(*) FROM marts.fct_refunds",
    "disputes": "SELECT count(*) FROM marts.fct_disputes",
    "customers": "SELECT count(*) FROM marts.dim_customer WHERE is_current",
    "currencies": "SELECT count(DISTINCT currency) FROM marts.fct_payments",
}
"""Counts of the marts. Amounts need a currency each, so they are only on the dashboards."""


def run(settings: Settings, events: int) -> int:
    """Run the demo with its progress on the terminal; return the exit code of the last audit.

    Raises:
        UserError: the stack does not start, the simulator gets wrong answers, or a load fails.
    """
    screen = Screen()
    began = time.monotonic()
    screen.rule("Start")
    stack_text.up(settings, groups=GROUPS)
    screen.rule("Ninety days of payments")
    ledger = _next_ledger(settings)
    traffic = Run(events, seed=_seed(ledger), ledger=ledger, faults=FAULTS)
    if simulation.main(settings, traffic, as_json=False):
        raise UserError(
            f"The simulator got wrong answers: see {ledger} and `payments status`.",
            exit_code=1,
        )
    _audit(settings, ledger, "bronze", screen)
    screen.rule("Load the lake and build the marts")
    _load(settings, screen)
    code = _audit(settings, ledger, "facts", screen)
    screen.rule(f"Done in {time.monotonic() - began:.0f} s")
    _show_end(settings, screen, clean=code == 0)
    return code


def _next_ledger(settings: Settings) -> Path:
    folder = settings.var / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"ledger-{len(list(folder.glob('ledger-*.jsonl'))) + 1}.jsonl"


def _seed(ledger: Path) -> int:
    return SEED_BASE + int(ledger.stem.removeprefix("ledger-"))


def _audit(settings: Settings, ledger: Path, through: str, screen: Screen) -> int:
    screen.rule(f"Audit, through {through}")
    return audit_run.audit(settings, None, None, ledger, SETTLE_S, through, as_json=False)


def _load(settings: Settings, screen: Screen) -> None:
    """Run the job that Dagster schedules every minute, and wait for its end.

    Raises:
        UserError: the run fails or takes too long; the message has its link.
    """
    run_id = asyncio.run(dagster.launch(settings, JOB))
    link = f"{dagster.address(settings)}/runs/{run_id}"
    screen.line(f"Dagster runs {JOB}: {link}")
    began = time.monotonic()
    with screen.status("starting") as show:
        while True:
            status = asyncio.run(dagster.run_status(settings, run_id))
            elapsed_s = time.monotonic() - began
            show(f"{status.lower()}, {elapsed_s:.0f} s")
            if status == "SUCCESS":
                break
            if status in ("FAILURE", "CANCELED") or elapsed_s > LOAD_S_MAX:
                raise UserError(
                    f"The load is {status.lower()} after {elapsed_s:.0f} s. See its log: {link}",
                    exit_code=1,
                )
            time.sleep(POLL_S)
    screen.line(f"Loaded, and marts built, in {elapsed_s:.0f} s")


def _show_end(settings: Settings, screen: Screen, *, clean: bool) -> None:
    rows: dict[str, Cell] = {}
    with trino.connect(settings, application="demo") as connection:
        for name, query in FIGURES.items():
            [row] = connection.cursor().execute(query).fetchall()
            rows[name] = f"{row[0]:,}"
    rows |= stack_text.links(settings, GROUPS)
    rows["audit"] = (
        styled("nothing is lost or duplicated", "green")
        if clean
        else styled("not clean: see above", "red")
    )
    screen.grid(facts(rows))
