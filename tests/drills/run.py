"""Runs drills one after another on one stack, and stores their results: `make chaos`.

`PYTHONPATH=tests python -m drills.run [NAME]... [--seed S] [--rounds N | --full]`
"""

import json
import logging
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from drills import result_table
from drills.drill import Drill, DrillContext
from drills.findings import SkippedError
from drills.registry import drills
from drills.result import Result
from local_stack import files
from payment_operations import stack_start
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, load
from support import isolated
from support.wide_console import wide_console

SEED_MAX: Final = 2**31
TRACEBACK_LINES: Final = 12
TERMINATED: Final = 143
"""Exit code after SIGTERM."""


def run(user: Settings, wanted: tuple[str, ...], seed: int | None, rounds: int | None) -> int:
    """Run drills and print their results.

    Args:
        user: settings of the user; only the model files, the cache and `var` are used.
        wanted: names of drills; all drills if empty.
        seed: repeats the choices of an earlier run; random if None.
        rounds: size of each drill; the full size of each drill if None.

    Returns:
        The exit code: 1 if any drill failed, else 0.

    Raises:
        UserError: no drill has one of these names.
    """
    console = wide_console()
    chosen = drills(wanted)
    seed = random.randrange(SEED_MAX) if seed is None else seed
    results = []
    # The drill counts failures. Log lines of the client libraries only repeat them.
    logging.disable(logging.CRITICAL)
    # After SIGTERM the stack stops before this process exits, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    # Programs and models hold no user data and take long to make, so the drills share them.
    with isolated.temporary(files.var(user) / "models", cache=user.cache) as settings:
        for name, drill in chosen.items():
            console.rule(f"{drill.number} {name}, seed {seed}")
            console.print(drill.promise, style="dim")
            result = run_drill(settings, name, drill, seed, rounds or drill.full_rounds, console)
            result_table.show(result, console)
            append_result(files.var(user) / "drills.json", result)
            if not result.ok:
                _keep_logs(settings, files.var(user) / "log" / f"drill-{name}", console)
            results.append(result)
    console.rule()
    result_table.show_all(results, console)
    return 0 if all(result.ok for result in results) else 1


def run_drill(
    settings: Settings, name: str, drill: Drill, seed: int, rounds: int, console: Console
) -> Result:
    """Start the components that one drill needs, restart broken ones, and run the drill."""
    result = Result(name, drill, seed, rounds)
    folder = files.var(settings) / "drills" / name
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def progress(text: str) -> None:
        console.print(f"{time.monotonic() - began:7.1f} s  {text}", soft_wrap=True, markup=False)

    try:
        if drill.needs:
            stack_start.up(settings, only=drill.needs)
        began = time.monotonic()
        rng = random.Random(f"{seed}/{name}")
        result.findings = drill.run(DrillContext(settings, seed, rounds, folder, progress, rng))
    except SkippedError as reason:
        result.skipped = str(reason)
    except Exception as error:  # noqa: BLE001 - a drill that raises has failed; the next one runs
        cause = _first(error)
        for line in traceback.format_exception(cause)[-TRACEBACK_LINES:]:
            console.print(line, markup=False, style="dim", end="")
        result.findings.require(False, f"the drill raised {type(cause).__name__}: {cause}")
        result.findings.broke = True
    result.seconds = time.monotonic() - began
    return result


def _first(error: Exception) -> BaseException:
    """Return the first exception of a group: the first one usually caused the others."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


def append_result(path: Path, result: Result) -> None:
    """Append a result to the JSON list in a file."""
    with files.exclusive(path.with_suffix(".lock")):
        kept = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*kept, result.as_json()], indent=1) + "\n")


def _keep_logs(settings: Settings, to: Path, console: Console) -> None:
    """Copy the logs of a failed drill, because the stack's folder is deleted at the end."""
    kept = files.var(settings) / "log"
    if kept.is_dir():  # a drill without a stack has none
        shutil.copytree(kept, to, dirs_exist_ok=True)
        console.print(f"the stack's logs are in {to}", style="dim")


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="All drills if none is named.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Repeats the choices of a run. Default: random.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Size of each drill. Default: 1, up to two minutes.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Each drill at its published size: about an hour.")
    ] = False,
) -> None:
    """Test the pipeline's promises with faults in real processes. Exit code 1 if a promise fails.

    The drills run on an isolated stack in a temporary folder, never on your data. Each drill has a
    control: the same check with the protection removed, which must fail. The results are appended
    to `<var>/drills.json`. `docs/reliability.md` describes each drill.
    """
    if full and rounds:
        raise UserError("Give either --full or --rounds: --full sets the rounds of each drill.")
    sys.exit(run(load(), tuple(names or ()), seed, None if full else rounds or 1))


if __name__ == "__main__":
    try:
        typer.run(main)
    except UserError as mistake:
        typer.echo(f"drills: {mistake}", err=True)
        sys.exit(mistake.exit_code)
