"""What does the whole product do with a few thousand payments, from nothing to dashboards?

It drives the other commands, one after another: up, simulate, a Dagster run, audit. Every demo
before it left a client ledger: their number makes the seed, so that a second demo adds to the
first.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from local_stack import dagster
from local_stack.component import DASHBOARDS, LAKEHOUSE
from payment_pipeline.adapters import trino
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.run import Run

from . import audit_run, simulation, stack_text

SEED_BASE: Final = 100
"""The seeds below are left to a person's own simulations: one seed is one set of event ids."""
GROUPS: Final = (LAKEHOUSE, DASHBOARDS)
JOB: Final = "micro_batch"
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
"""What is counted in the marts; amounts have their currency, and belong on the dashboards."""


def run(settings: Settings, events: int) -> int:
    """Run the demo under the reader's eyes; the exit code is the audit's.

    Raises:
        UserError: the stack doesn't come up, the simulator or a load fails.
    """
    console = Console(highlight=False)
    began = time.monotonic()
    console.rule("Start")
    stack_text.up(settings, groups=GROUPS)
    console.rule("Ninety days of payments")
    ledger = _next_ledger(settings)
    if simulation.main(settings, Run(events, seed=_seed(ledger), ledger=ledger), as_json=False):
        raise UserError(f"The simulator got wrong answers: see {ledger}.", exit_code=1)
    _audit(settings, ledger, "bronze", console)
    console.rule("Bronze to the lake, the lake to the marts")
    _load(settings, console)
    code = _audit(settings, ledger, "facts", console)
    console.rule(f"Done in {time.monotonic() - began:.0f} s")
    _show_end(settings, console, clean=code == 0)
    return code


def _next_ledger(settings: Settings) -> Path:
    folder = settings.var / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"ledger-{len(list(folder.glob('ledger-*.jsonl'))) + 1}.jsonl"


def _seed(ledger: Path) -> int:
    return SEED_BASE + int(ledger.stem.removeprefix("ledger-"))


def _audit(settings: Settings, ledger: Path, through: str, console: Console) -> int:
    console.rule(f"Audit, through {through}")
    return audit_run.audit(settings, None, None, ledger, SETTLE_S, through, as_json=False)


def _load(settings: Settings, console: Console) -> None:
    """Run the job that automation runs every minute, and wait for it.

    Raises:
        UserError: it fails, or takes too long; the sentence has its link.
    """
    run_id = asyncio.run(dagster.launch(settings, JOB))
    link = f"{dagster.address(settings)}/runs/{run_id}"
    console.print(f"Dagster runs {JOB}: {link}")
    began = time.monotonic()
    with console.status("starting") as shown:
        while True:
            status = asyncio.run(dagster.run_status(settings, run_id))
            elapsed_s = time.monotonic() - began
            shown.update(f"{status.lower()}, {elapsed_s:.0f} s")
            if status == "SUCCESS":
                break
            if status in ("FAILURE", "CANCELED") or elapsed_s > LOAD_S_MAX:
                raise UserError(f"The load is {status.lower()}: see {link}.", exit_code=1)
            time.sleep(POLL_S)
    console.print(f"Loaded and modelled in {elapsed_s:.0f} s")


def _show_end(settings: Settings, console: Console, *, clean: bool) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    with trino.connect(settings, application="demo") as connection:
        for name, query in FIGURES.items():
            [row] = connection.cursor().execute(query).fetchall()
            table.add_row(name, f"{row[0]:,}")
    for name, where in stack_text.links(settings, GROUPS).items():
        table.add_row(name, where)
    verdict = (
        "[green]nothing is missing, nothing is twice" if clean else "[red]not clean: see above"
    )
    table.add_row("audit", verdict)
    console.print(table)
